import { fileURLToPath } from 'node:url';
import { readEnvironment } from '../config/environment.ts';
import { createContext, createJobsContext, type Listening } from '../context.ts';
import { Lifetime } from '../lib/lifetime.ts';
import { createLogger } from '../lib/logger.ts';
import { endable } from './ending.ts';
import { type OutputOptions, print } from './output.ts';

export async function start(options: OutputOptions): Promise<void> {
  const { config, secrets, unknown } = readEnvironment(process.env);
  const logger = createLogger(config.logLevel);
  if (unknown.length > 0)
    logger.warn({ variables: unknown }, 'set, but no setting of this version has these names: misspelt?');

  const lifetime = new Lifetime(logger);
  await endable(lifetime, { logger, exitCode: 0 }, async () => {
    try {
      const create = config.role === 'jobs' ? createJobsContext : createContext;
      const context = await create(config, secrets, { logger, lifetime });
      const listening = await context.listen();
      if (config.role !== 'jobs') greet(options, listening);
      print(options, `fovea ready ${listening.url}`, { event: 'ready', url: listening.url });
    } catch (error) {
      await lifetime.close();
      throw error;
    }
  });
}

function greet(options: OutputOptions, { url, created }: Listening): void {
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
