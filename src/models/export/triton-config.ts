/** A tensor as Triton's `config.pbtxt` names it; -1 stands for a length that is free. */
export interface TritonTensor {
  readonly name: string;
  /** `TYPE_…` */
  readonly dataType: string;
  /** With the batch axis. */
  readonly shape: readonly number[];
}

export interface TritonConfig {
  readonly name: string;
  /** Which of Triton's backends runs it, `backend` or, for what has none of its own name, `platform`. */
  readonly runBy: { readonly backend: string } | { readonly platform: string };
  /** Pictures at once; 1: one by one. */
  readonly maxBatch: number;
  readonly inputs: readonly TritonTensor[];
  readonly outputs: readonly TritonTensor[];
}

/**
 * The text of a `config.pbtxt` (`inference.ModelConfig` in Triton's model_config.proto, as protocol buffers' text format).
 * All versions are served: Fovea asks for the one it means.
 */
export function tritonConfig({ name, runBy, maxBatch, inputs, outputs }: TritonConfig): string {
  // Triton adds the batch axis by itself, and only where every tensor's is free.
  const isBatched = maxBatch > 1 && [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
  const tensors = (field: string, all: readonly TritonTensor[], firstLength: number | null) =>
    all.map(
      ({ name: tensor, dataType, shape }) =>
        `${field} {\n  name: ${quoted(tensor)}\n  data_type: ${dataType}\n${dimsOf(shape, isBatched, firstLength)}}\n`,
    );
  const [[key, value]] = Object.entries(runBy) as [[string, string]];
  return [
    `name: ${quoted(name)}\n`,
    `${key}: ${quoted(value)}\n`,
    `max_batch_size: ${isBatched ? maxBatch : 0}\n`,
    ...tensors('input', inputs, maxBatch === 1 ? 1 : null),
    ...tensors('output', outputs, null),
    ...(isBatched ? ['dynamic_batching { }\n'] : []),
    'instance_group {\n  count: 1\n  kind: KIND_AUTO\n}\n',
    'version_policy { all { } }\n',
  ].join('');
}

function dimsOf(shape: readonly number[], isBatched: boolean, firstLength: number | null): string {
  const [first = -1, ...rest] = shape;
  if (!isBatched) return `  dims: [${[firstLength ?? first, ...rest].join(', ')}]\n`;
  // It takes no empty list: a number a picture is a list of one there.
  if (rest.length === 0) return '  dims: [1]\n  reshape { shape: [] }\n';
  return `  dims: [${rest.join(', ')}]\n`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
