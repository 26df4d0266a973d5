import { headerLengthField, parseRequest, writeResponse } from '../../oip/codec.ts';
import type { Answer, Call } from './call.ts';
import { requireOnlyVersion, type Served } from './served.ts';

export async function infer(
  { models }: Served,
  call: Call,
  [name = '', modelVersion]: readonly string[],
): Promise<Answer> {
  requireOnlyVersion(modelVersion);
  const headerLength = call.headers[headerLengthField];
  const request = parseRequest(
    await call.body(),
    typeof headerLength === 'string' ? headerLength : undefined,
  );
  const { outputs, computeMs, device } = await models.infer(
    name,
    request.inputs,
    request.outputs,
    call.signal,
  );
  return writeResponse({
    model: name,
    id: request.id,
    parameters: { compute_ms: computeMs, device },
    outputs,
    binaryOutput: request.binaryOutput,
  });
}
