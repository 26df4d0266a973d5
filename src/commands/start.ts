import { fileURLToPath } from 'node:url';
import { readEnvironment } from '../config/environment.ts';
import { type Context, createContext } from '../context.ts';
import { createLogger } from '../lib/logger.ts';
import { type OutputOptions, print } from './output.ts';

/** The longest an orderly end may take; then whatever still runs is killed. */
const SHUTDOWN_MS = 10_000;
/**
 * Ctrl-C under `npm start` reaches this process twice, from the terminal and from npm: signals closer than this are one.
 */
const SAME_SIGNAL_MS = 500;

export async function start(options: OutputOptions): Promise<void> {
  const { config, secrets, unknown } = readEnvironment(process.env);
  const logger = createLogger(config.logLevel);
  if (unknown.length > 0) logger.warn({ variables: unknown }, 'no setting has these names: misspelt?');

  let context: Context | null = null;
  let firstSignalAt: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (firstSignalAt === null) {
      firstSignalAt = now;
      logger.info({ signal }, 'stopping: finishing what is in flight');
      if (context) void stop(context);
    } else if (now - firstSignalAt > SAME_SIGNAL_MS) {
      logger.warn({ signal }, 'stopping at once');
      context?.killNow();
      process.exit(130);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);

  context = await createContext(config, secrets, { logger });
  const url = await context.listen();
  greet(options, context, url);
  if (firstSignalAt !== null) await stop(context);
}

async function stop(context: Context): Promise<void> {
  const timer = setTimeout(() => {
    context.logger.error(`not stopped after ${SHUTDOWN_MS / 1000} s: killing what still runs`);
    context.killNow();
    process.exit(1);
  }, SHUTDOWN_MS - 1_000);
  timer.unref();
  try {
    await context.close();
    process.exit(0);
  } catch (error) {
    context.logger.error({ err: error }, 'stopping failed: killing what still runs');
    context.killNow();
    process.exit(1);
  }
}

function greet(options: OutputOptions, { created }: Context, url: string): void {
  const key = created?.apiKey ?? '$FOVEA_API_KEY';
  const lines = [`Fovea serves GraphQL at ${url}/graphql and says more at ${url}/`];
  if (created) {
    lines.push(
      `Tenant «${created.tenant}», owner ${created.email}${created.password ? `, password ${created.password}` : ''}`,
      `API key ${created.apiKey}`,
      'Neither password nor key is shown again.',
    );
  } else {
    lines.push('For an API key: npm run fovea -- keys create --tenant <name>');
  }
  lines.push('', 'Ask a model about a picture:', '', firstCall(url, key), '');
  if (!options.json) print(options, lines.join('\n'), null);
  else if (created) print(options, '', { event: 'created', ...created });
  print(options, `fovea ready ${url}`, { event: 'ready', url });
}

/** A command for a POSIX shell that can be pasted anywhere on this machine. */
function firstCall(url: string, key: string): string {
  const picture = fileURLToPath(new URL('../../models/shapes/examples/red-circle.jpg', import.meta.url));
  const query =
    'mutation($image: String!) { classify(input: { model: "shapes", images: { base64: $image }, topK: 3 }) ' +
    '{ results { ... on Classification { labels { label score } } ... on ImageError { code message } } ' +
    'receipt { units timings { totalMs } quota { used remaining } } } }';
  return [
    `curl -s ${url}/graphql \\`,
    `  -H 'content-type: application/json' -H "authorization: Bearer ${key}" \\`,
    `  -d '{"query":${JSON.stringify(query)},"variables":{"image":"'"$(base64 < '${picture}' | tr -d '\\n')"'"}}'`,
  ].join('\n');
}
