import type { Request, RequestHandler, Response } from 'express';
import { v7 as uuidv7 } from 'uuid';
import type { Logger } from '../lib/logger.ts';
import { clientNetwork } from '../tenants/client-network.ts';
import { type Bucket, limitFailures } from '../tenants/failure-limit.ts';
import { maxUploadBytes } from '../uploads/declared-file.ts';
import { UploadRefusedError } from '../uploads/refusal.ts';
import type { ReceivedUpload } from '../uploads/uploads.ts';
import { clientAddress } from './client-address.ts';
import type { Services } from './context.ts';
import { retryAfterOf, toPublicError } from './plugins/errors.ts';
import { discardBody } from './request-body.ts';

/**
 * `PUT /uploads/:id?secret=…`: takes in the file of an upload. The secret is all the credential there is, so that a browser or a
 * device that has no other can send it. Answers 201 once the file can be used, else `{ "error": … }`.
 */
export function receiveUpload(services: Services, logger: Logger): RequestHandler {
  return async (request, response) => {
    const requestId = uuidv7();
    const log = logger.child({ requestId });
    response.set('x-request-id', requestId);
    const startedAt = performance.now();
    // Of the URL only the id is told: the rest opens it.
    response.once('close', () =>
      log.info(
        {
          upload: String(request.params.id).slice(0, 36),
          status: response.writableFinished ? response.statusCode : 'aborted',
          durationMs: Math.round((performance.now() - startedAt) * 100) / 100,
        },
        'upload',
      ),
    );
    try {
      const { expiresAt, ...received } = await receive(request, services);
      response.status(201).json({ ...received, expiresAt: expiresAt.toISOString() });
    } catch (error) {
      // Nobody is left to answer.
      if (request.socket.destroyed) return;
      const { status, message, retryAfterMs, fault } = told(error, requestId);
      if (fault) log.error({ err: fault }, 'an upload could not be received');
      if (retryAfterMs !== null) response.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
      refuse(request, response, status, message);
    }
  };
}

async function receive(request: Request, { uploads, rateLimiter }: Services): Promise<ReceivedUpload> {
  const { id } = request.params;
  const { secret } = request.query;
  const upload = await limitFailures(
    rateLimiter,
    [unknownUploadBucket(clientAddress(request.ip))],
    'Too many PUTs to unknown uploads came from your network: wait before the next.',
    async () => uploads.present(String(id), typeof secret === 'string' ? secret : ''),
  );
  if (upload === null) {
    throw new UploadRefusedError(
      404,
      'There is no such upload: PUT to the url that createUpload answered, as it stands.',
    );
  }
  const length = request.get('content-length');
  const headers = {
    contentType: request.get('content-type') ?? null,
    contentLength: length === undefined ? null : Number(length),
    contentEncoding: request.get('content-encoding') ?? null,
  };
  return uploads.receive(upload, headers, request);
}

/** Nobody guesses a secret; but each guess asks the database. */
function unknownUploadBucket(address: string): Bucket {
  return { key: `unknown-uploads:${clientNetwork(address)}`, limit: { pointsPerSecond: 10, burst: 64 } };
}

function told(error: unknown, requestId: string) {
  if (error instanceof UploadRefusedError) {
    return { status: error.status, message: error.message, retryAfterMs: null, fault: null };
  }
  const { body, status, fault } = toPublicError(error, requestId);
  const retryAfterMs = retryAfterOf([{ body, status, fault }]);
  return { status: status ?? 500, message: body.message, retryAfterMs, fault };
}

function refuse(request: Request, response: Response, status: number, error: string): void {
  // Whoever has fallen silent is not waited for again; whoever still sends reads no answer while it is cut off.
  if (status === 408) response.set('connection', 'close');
  else discardBody(request, maxUploadBytes);
  response.status(status).json({ error });
}
