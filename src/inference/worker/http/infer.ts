import { errorCode } from '../../../lib/errors.ts';
import type { Span } from '../../../lib/tracing/span.ts';
import { headerLengthField, type InferRequest, parseRequest, writeResponse } from '../../oip/codec.ts';
import type { Inference } from '../models.ts';
import type { ServedModels } from '../served-models.ts';
import type { ModelStatistics } from '../statistics.ts';
import type { Answer, Call } from './call.ts';
import type { Admitted } from './request-admission.ts';
import { readSchedule } from './schedule.ts';
import type { Served } from './served.ts';

interface InferContext {
  readonly models: ServedModels;
  readonly name: string;
  /** What the models know it by. */
  readonly key: string;
  readonly statistics: ModelStatistics;
  readonly admitted: Admitted;
  readonly span: Span;
}

export async function infer(
  { models, admission, tracer }: Served,
  call: Call,
  [name = '', modelVersion]: readonly string[],
): Promise<Answer> {
  const key = await models.keyOf(name, modelVersion);
  const statistics = models.statisticsOf(key);
  const askedAt = performance.now();
  const span = tracer.serve('infer', call.headers, { 'fovea.variant': name });
  let admitted: Admitted | undefined;
  try {
    admitted = admission.admit(call.mostBytes);
    // Not before the answer has been read: it takes memory until then.
    call.signal.addEventListener('abort', admitted.leave, { once: true });
    const body = await call.body(undefined, admitted.grow);
    admitted.weigh(body.byteLength);
    admitted.enter();
    const answer = await inferFrom(body, call, { models, name, key, statistics, admitted, span });
    admitted.weigh(answer.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
    span.end();
    return answer;
  } catch (error) {
    span.end(errorCode(error));
    statistics.failed(performance.now() - askedAt);
    admitted?.leave();
    throw error;
  }
}

async function inferFrom(
  body: Buffer,
  call: Call,
  { models, name, key, statistics, admitted, span }: InferContext,
): Promise<Answer> {
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  const request = readRequest(call, body);
  const schedule = readSchedule(request.parameters);
  admitted.belong(schedule.tenant);
  const inputMs = elapsed();
  const inference = await models.infer(key, request.inputs, request.outputs, {
    ...schedule,
    signal: call.signal,
  });
  const computedMs = elapsed();
  const { batchSize, device, queueMs, computeMs } = inference;
  span.set({
    'fovea.batch_size': batchSize,
    'fovea.device': device,
    'fovea.queue_ms': queueMs,
    'fovea.compute_ms': computeMs,
  });
  const answer = writeAnswer(name, request, inference);
  const wholeMs = elapsed();
  statistics.succeeded({ ...inference, wholeMs, inputMs, outputMs: wholeMs - computedMs });
  return answer;
}

function readRequest(call: Call, body: Buffer): InferRequest {
  const headerLength = call.headers[headerLengthField];
  return parseRequest(body, typeof headerLength === 'string' ? headerLength : undefined);
}

function writeAnswer(name: string, request: InferRequest, inference: Inference): Answer {
  const { outputs, computeMs, device, queueMs, batchSize } = inference;
  return writeResponse({
    model: name,
    id: request.id,
    parameters: { compute_ms: computeMs, device, queue_ms: queueMs, batch_size: batchSize },
    outputs,
    binaryOutput: request.binaryOutput,
  });
}
