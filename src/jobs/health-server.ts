import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface HealthServer {
  /** Answers the port it listens on. Rejects as `net.Server` does. */
  listen(port: number, host: string): Promise<{ port: number }>;
  close(): Promise<void>;
}

/** `/health/live`, `/health/ready` and `/metrics` of a process that has no API, as the API answers them. */
export function createHealthServer({
  metrics,
  ready,
}: {
  readonly metrics: Registry;
  /** A text says why not. */
  readonly ready: () => Promise<true | string>;
}): HealthServer {
  const respond = async (url: string, response: ServerResponse): Promise<void> => {
    switch (url.split('?')[0]) {
      case '/health/live':
        return answer(response, 200, { status: 'live' });
      case '/health/ready': {
        const isReady = await ready();
        if (isReady === true) return answer(response, 200, { status: 'ready' });
        return answer(response, 503, { status: 'not ready', reason: isReady });
      }
      case '/metrics':
        response.setHeader('content-type', metrics.contentType);
        response.end(await metrics.metrics());
        return;
      default:
        answer(response, 404, { error: 'Nothing is served here: this process has the role jobs.' });
    }
  };
  const server = createServer((request, response) => {
    respond(request.url ?? '/', response).catch((error: Error) =>
      answer(response, 500, { error: error.message }),
    );
  });
  return {
    async listen(port, host) {
      server.listen(port, host);
      await once(server, 'listening');
      return { port: (server.address() as AddressInfo).port };
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}
