import { jsonMessage } from '../../oip/codec.ts';
import type { ServedModels } from '../served-models.ts';
import type { Duration, ModelStatistics } from '../statistics.ts';
import type { Answer, Call } from './call.ts';
import type { Served } from './served.ts';

/** Triton's statistics extension: of one model, or of all. Nothing is cached, hence no hits. */
export async function statisticsOf(
  { models }: Served,
  _call: Call,
  [name, modelVersion]: readonly string[],
): Promise<Answer> {
  const wanted: Iterable<[string, ModelStatistics]> =
    name === undefined ? models.statistics() : [await statisticsNamed(models, name, modelVersion)];
  return jsonMessage({ model_stats: Array.from(wanted, ([model, of]) => entry(model, of)) });
}

async function statisticsNamed(
  models: ServedModels,
  name: string,
  version: string | undefined,
): Promise<[string, ModelStatistics]> {
  const key = await models.keyOf(name, version);
  return [key, models.statisticsOf(key)];
}

function entry(name: string, of: ModelStatistics): object {
  return {
    name,
    version: '1',
    last_inference: of.lastInferenceAt,
    inference_count: of.inferences,
    execution_count: of.executions,
    inference_stats: {
      success: plain(of.success),
      fail: plain(of.fail),
      queue: plain(of.queue),
      ...computing(of.computing),
      cache_hit: { count: 0, ns: 0 },
    },
    batch_stats: Array.from(of.byBatchSize, ([batch_size, ofSize]) => ({ batch_size, ...computing(ofSize) })),
  };
}

function computing({ input, infer, output }: ModelStatistics['computing']): object {
  return { compute_input: plain(input), compute_infer: plain(infer), compute_output: plain(output) };
}

function plain({ count, ns }: Duration): { count: number; ns: number } {
  return { count, ns };
}
