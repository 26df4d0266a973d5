import { createServer } from 'node:http';
import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { Registry } from 'prom-client';
import type { Logger } from '../lib/logger.ts';
import { noTracer, type Tracer } from '../lib/tracing/tracer.ts';
import type { GraphqlContext, Services } from './context.ts';
import { createHttpApp } from './http-app.ts';
import { type Listening, listen } from './listen.ts';
import { errorsPlugin, toPublicError } from './plugins/errors.ts';
import { limitsPlugin } from './plugins/limits.ts';
import { createRequestMetrics } from './request-metrics.ts';
import { createSchema } from './schema.ts';

/** A document of more tokens is refused unread: GRAPHQL_PARSE_FAILED. */
const MAX_TOKENS = 10_000;

export interface GraphqlServerOptions {
  readonly logger: Logger;
  /** Served on `GET /metrics`; the transport's own metrics are added to it. */
  readonly metrics: Registry;
  /** None where it is left out. */
  readonly tracer?: Tracer;
  /** Whether a request would be answered now; a text says why not. */
  readonly ready: () => Promise<true | string>;
  /** Whether clients may read the schema, and are told names like the one they mistyped. */
  readonly introspection: boolean;
  /** Express's `trust proxy`: whose `X-Forwarded-For` is believed. Default: nobody's. */
  readonly trustProxy?: boolean | number | string;
  /** Where clients reach this service, without a slash at its end. Default: where each request says it came to. */
  readonly publicUrl?: string | null;
  /** Default: the contract's 64 MB. */
  readonly maxBodyBytes?: number;
}

export interface GraphqlServer {
  /** Answers the port it listens on: the one asked for, or for 0 the one that was free. Rejects as `net.Server` does. */
  listen(port: number, host: string): Promise<{ port: number }>;
  /** Takes no more connections, lets requests in flight end for `graceMs` at most, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

/** The public face: GraphQL on /graphql, beside it health, metrics and a page for people. Throws where the schema is not whole. */
export async function createGraphqlServer(
  services: Services,
  options: GraphqlServerOptions,
): Promise<GraphqlServer> {
  const apollo = new ApolloServer<GraphqlContext>({
    schema: createSchema(),
    introspection: options.introspection,
    hideSchemaDetailsFromClientErrors: !options.introspection,
    includeStacktraceInErrorResponses: false,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: MAX_TOKENS },
    logger: options.logger,
    // What the plugin below does not see: requests that are refused before they are anyone's operation.
    formatError: (_formatted, error) => toPublicError(error, null).body,
    plugins: [
      limitsPlugin(),
      errorsPlugin(),
      // Answers are nobody's to cache, and an APOLLO_KEY in the environment must not make the server report its traffic.
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
    ],
  });
  await apollo.start();

  const app = createHttpApp(apollo, services, {
    ...options,
    requests: createRequestMetrics(options.metrics),
    tracer: options.tracer ?? noTracer,
  });
  const server = createServer(app);
  let listening: Listening | null = null;
  let closing: Promise<void> | null = null;
  // While closing, a connection that has just been answered is idle and can go.
  server.on('request', (_request, response) => {
    response.once('close', () => {
      if (closing) setImmediate(() => server.closeIdleConnections());
    });
  });

  const close = async (graceMs: number): Promise<void> => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    await listening?.close();
    clearTimeout(cut);
    await apollo.stop();
  };

  return {
    async listen(port, host) {
      listening = await listen(server, port, host);
      // Told to close while it was only about to listen.
      if (closing) await listening.close();
      return { port: listening.port };
    },
    close: (graceMs) => {
      closing ??= close(graceMs);
      return closing;
    },
  };
}
