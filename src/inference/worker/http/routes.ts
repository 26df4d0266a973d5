import { OipError } from '../../oip/errors.ts';
import { holdsArtifact, storeArtifact } from './artifact-transfer.ts';
import { type Answer, type Call, errorAnswer } from './call.ts';
import { infer } from './infer.ts';
import {
  configOf,
  describeMemory,
  describeModel,
  describeServer,
  metricsText,
  modelReady,
  serverLive,
  serverReady,
} from './metadata.ts';
import { indexOf, load, unload } from './repository.ts';
import type { Served } from './served.ts';
import { statisticsOf } from './statistics.ts';

type Handler = (served: Served, call: Call, names: readonly string[]) => Answer | Promise<Answer>;

interface Route {
  readonly path: RegExp;
  /** HEAD is answered as GET is, which Node sends without its body. */
  readonly methods: Readonly<Record<string, Handler>>;
}

/** The Open Inference Protocol v2 over HTTP, Triton's extensions of it, and artefacts over the wire. */
const routes: readonly Route[] = [
  route('/v2', { GET: describeServer }),
  route('/v2/health/live', { GET: serverLive }),
  route('/v2/health/ready', { GET: serverReady }),
  route('/v2/models/stats', { GET: statisticsOf }),
  route('/v2/models/<name>[/versions/<name>]', { GET: describeModel }),
  route('/v2/models/<name>[/versions/<name>]/ready', { GET: modelReady }),
  route('/v2/models/<name>[/versions/<name>]/config', { GET: configOf }),
  route('/v2/models/<name>[/versions/<name>]/infer', { POST: infer }),
  route('/v2/models/<name>[/versions/<name>]/stats', { GET: statisticsOf }),
  route('/v2/repository/index', { POST: indexOf }),
  route('/v2/repository/models/<name>/load', { POST: load }),
  route('/v2/repository/models/<name>/unload', { POST: unload }),
  route('/v2/repository/artifacts/<name>', { HEAD: holdsArtifact, PUT: storeArtifact }),
  route('/v2/memory', { GET: describeMemory }),
  route('/metrics', { GET: metricsText }),
];

/** `<name>`: a part of the path, `[…]`: may be left out. */
function route(template: string, methods: Route['methods']): Route {
  const pattern = template.replaceAll('[', '(?:').replaceAll(']', ')?').replaceAll('<name>', '([^/]+)');
  return { path: new RegExp(`^${pattern}/?$`), methods };
}

/** Answers whatever may come. Throws OipError. */
export async function answer(served: Served, call: Call): Promise<Answer> {
  for (const { path, methods } of routes) {
    const match = path.exec(call.path);
    if (!match) continue;
    const handler = methods[call.method] ?? (call.method === 'HEAD' ? methods.GET : undefined);
    if (handler)
      return handler(
        served,
        call,
        match
          .slice(1)
          .filter((part) => part !== undefined)
          .map(decoded),
      );
    const allowed = Object.keys(methods).join(', ');
    return errorAnswer(405, `${call.path.slice(0, 200)}: expected ${allowed}, found ${call.method}`, {
      allow: methods.GET ? `${allowed}, HEAD` : allowed,
    });
  }
  throw new OipError(404, `${call.method} ${call.path.slice(0, 200)}: no such resource`);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new OipError(400, 'the path is not valid percent-encoding', { cause: error });
  }
}
