import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../../lib/logger.ts';
import { busyHeaders } from '../../oip/busy.ts';
import { BusyError, OipError } from '../../oip/errors.ts';
import type { AttentiveClock } from '../attentive-clock.ts';
import { refuseAccess } from './access.ts';
import { type Answer, type Call, errorAnswer } from './call.ts';
import { endQuietConnections } from './quiet-connections.ts';
import { mostBytesOf, receiveBody } from './receive-body.ts';
import { receivePieces } from './receive-pieces.ts';
import { sendAnswer } from './send-answer.ts';

export interface ServerOptions {
  /** What a client must present; null: nothing. */
  readonly token: string | null;
  /** PEM; null: plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Of a body that is gathered in memory. */
  readonly maxBodyBytes: number;
  /** Whether the worker takes no more work: connections end with their answer. */
  isDraining(): boolean;
}

/** Hands every request that may come in to `answer`, which throws OipError for what it refuses, and sends what it answers. */
export async function createWorkerServer(
  answer: (call: Call) => Promise<Answer>,
  options: ServerOptions,
  clock: AttentiveClock,
  logger: Logger,
): Promise<Server> {
  const listener: RequestListener = async (request, response) => {
    const ended = endOf(request, response);
    const call: Call = {
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] as string,
      headers: request.headers,
      signal: ended,
      mostBytes: mostBytesOf(request, options.maxBodyBytes),
      body: (maxBytes = options.maxBodyBytes, arrived) =>
        receiveBody(request, Math.min(maxBytes, options.maxBodyBytes), clock, arrived),
      pieces: (maxBytes) => receivePieces(request, maxBytes, clock),
    };
    let found: Answer;
    try {
      found = refuseAccess(call, options.token) ?? (await answer(call));
    } catch (error) {
      if (ended.aborted) return;
      const status = error instanceof OipError ? error.status : 500;
      // 503 says that there is more to do than can be done, which a flood of lines does not mend.
      if (status >= 500 && status !== 503) logger.error({ err: error, path: call.path }, 'request failed');
      const headers = error instanceof BusyError ? busyHeaders(error) : {};
      found = errorAnswer(status, (error as Error).message, headers);
    }
    await sendAnswer(found, request, response, { isLast: options.isDraining(), clock });
  };
  // None of Node's own timeouts: see `endQuietConnections` and `AttentiveClock`.
  const settings = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 };
  const server = options.tls
    ? // Loaded for those who want it: 4 MB in a process that is to be small.
      (await import('node:https')).createServer({ ...settings, ...options.tls }, listener)
    : createServer(settings, listener);
  endQuietConnections(server, options.tls ? 'secureConnection' : 'connection', clock);
  server.on('clientError', refuseUnreadable);
  return server;
}

/** Aborts when the answer has been sent, or the client hangs up. */
function endOf({ socket }: IncomingMessage, response: ServerResponse): AbortSignal {
  const ended = new AbortController();
  const end = () => {
    socket.off('close', end);
    ended.abort(new Error('the client hung up'));
  };
  // The connection as well: of the requests that come on one before the first is answered, Node closes the first alone.
  socket.setMaxListeners(0).once('close', end);
  response.once('close', end);
  return ended.signal;
}

/** What is no HTTP, or has too large a head: answered in the protocol's words as far as there is anyone to answer. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const status = tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const body = JSON.stringify({
    error: tooLarge ? 'the head of the request is larger than 16 KiB' : `no HTTP request: ${error.message}`,
  });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
