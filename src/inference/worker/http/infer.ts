import { headerLengthField, type InferRequest, parseRequest, writeResponse } from '../../oip/codec.ts';
import type { Inference } from '../models.ts';
import type { Answer, Call } from './call.ts';
import { readSchedule } from './schedule.ts';
import { requireOnlyVersion, type Served } from './served.ts';

export async function infer(
  { models, admission }: Served,
  call: Call,
  [name = '', modelVersion]: readonly string[],
): Promise<Answer> {
  requireOnlyVersion(modelVersion);
  const statistics = models.statisticsOf(name);
  const admitted = admission.enter(call.mostBytes);
  try {
    const body = await call.body();
    admitted.weigh(body.byteLength);
    const startedAt = performance.now();
    const elapsed = () => performance.now() - startedAt;
    try {
      const request = readRequest(call, body);
      const schedule = readSchedule(request.parameters);
      const inputMs = elapsed();
      const inference = await models.infer(name, request.inputs, request.outputs, {
        ...schedule,
        signal: call.signal,
      });
      const computedMs = elapsed();
      const answer = writeAnswer(name, request, inference);
      const wholeMs = elapsed();
      const { queueMs, computeMs, batchSize } = inference;
      statistics.succeeded(batchSize, {
        wholeMs,
        queueMs,
        inputMs,
        computeMs,
        outputMs: wholeMs - computedMs,
      });
      return answer;
    } catch (error) {
      statistics.failed(elapsed());
      throw error;
    }
  } finally {
    admitted.leave();
  }
}

function readRequest(call: Call, body: Buffer): InferRequest {
  const headerLength = call.headers[headerLengthField];
  return parseRequest(body, typeof headerLength === 'string' ? headerLength : undefined);
}

function writeAnswer(name: string, request: InferRequest, { outputs, computeMs, device }: Inference): Answer {
  return writeResponse({
    model: name,
    id: request.id,
    parameters: { compute_ms: computeMs, device },
    outputs,
    binaryOutput: request.binaryOutput,
  });
}
