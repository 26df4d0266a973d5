import type tf from '@tensorflow/tfjs-core';

/** A model as its file has it, before pixels are prepared for it. */
export interface RawModel {
  readonly input: {
    readonly name: string;
    /** -1: free. */
    readonly shape: readonly number[];
    /** It takes pixels as whole numbers, not as floats. */
    readonly takesBytes: boolean;
  };
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  /** Runs once, one run at a time; the caller disposes what comes back. */
  run(input: tf.Tensor, outputs: readonly string[]): Promise<tf.Tensor[]>;
  dispose(): void;
}

/** Throws an Error that names the inputs unless there is one: the picture. */
export function onlyInput<T>(inputs: Readonly<Record<string, T>>): [name: string, input: T] {
  const entries = Object.entries(inputs);
  if (entries.length === 1) return entries[0]!;
  const names = entries.map(([name]) => `'${name}'`).join(', ') || 'none';
  throw new Error(`expected one input, the picture, found ${entries.length}: ${names}`);
}
