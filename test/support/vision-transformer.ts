import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/models/onnx/generated/onnx_pb.ts';

/** A vision transformer's measures. */
export interface VisionTransformer {
  /** Pixels of the square picture's side, and of a patch's. */
  readonly picture: number;
  readonly patch: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly classes: number;
  /** Bytes after which the next tensor goes into another file. */
  readonly shardBytes: number;
  /** Other seeds make other weights in the same graph. */
  readonly seed: number;
}

/** Measures that are published. */
export const visionTransformers = {
  /** ViT-S/16: 22 million parameters. */
  small: { picture: 224, patch: 16, width: 384, layers: 12, heads: 6, classes: 1_000 },
  /** ViT-L/16: 304 million parameters. */
  large: { picture: 224, patch: 16, width: 1_024, layers: 24, heads: 16, classes: 1_000 },
};

const { FLOAT, INT64 } = TensorProto_DataType;

/**
 * Writes `vit.onnx` and its weights, `vit-00001.weights` and on, into `folder`: FLOAT `pixels` [N,3,side,side] → FLOAT
 * `logits` [N,classes]. After Dosovitskiy et al. (2020), with the mean of the patches in the class token's place (Beyer et
 * al., 2022). The weights are random and scaled by their fan-in, so that every layer's activations stay about 1 and the
 * logits depend on the picture. Weights go to disk as they are made: a model of any size takes a few megabytes of memory.
 */
export function writeVisionTransformer(folder: string, model: VisionTransformer): { parameters: number } {
  const { picture, patch, width, layers, heads, classes } = model;
  const weights = new WeightFiles(folder, model);
  const nodes: NodeProto[] = [];
  const add = (opType: string, inputs: string[], output: string, attributes: Attributes = {}): string => {
    nodes.push(node(opType, inputs, output, attributes));
    return output;
  };
  const patches = (picture / patch) ** 2;
  const linear = (input: string, name: string, from: number, to: number): string => {
    const product = add(
      'MatMul',
      [input, weights.random(`${name}.weight`, [from, to], from)],
      `${name}.product`,
    );
    return add('Add', [product, weights.random(`${name}.bias`, [to], 1e4)], `${name}.sum`);
  };
  const normalised = (input: string, name: string): string =>
    add(
      'LayerNormalization',
      [input, weights.constant(`${name}.scale`, width, 1), weights.constant(`${name}.shift`, width, 0)],
      `${name}.normalised`,
    );
  const split = (input: string, name: string, perm: number[]): string =>
    add('Transpose', [add('Reshape', [input, 'split_heads'], `${name}.split`)], `${name}.heads`, { perm });
  const attention = (input: string, name: string): string => {
    const query = split(linear(input, `${name}.query`, width, width), `${name}.query`, [0, 2, 1, 3]);
    const key = split(linear(input, `${name}.key`, width, width), `${name}.key`, [0, 2, 3, 1]);
    const value = split(linear(input, `${name}.value`, width, width), `${name}.value`, [0, 2, 1, 3]);
    const scaled = add(
      'Mul',
      [add('MatMul', [query, key], `${name}.likeness`), 'per_head'],
      `${name}.scaled`,
    );
    const shares = add('Softmax', [scaled], `${name}.shares`, { axis: -1 });
    const mixed = add('Transpose', [add('MatMul', [shares, value], `${name}.mix`)], `${name}.mixed`, {
      perm: [0, 2, 1, 3],
    });
    return linear(add('Reshape', [mixed, 'join_heads'], `${name}.joined`), `${name}.output`, width, width);
  };
  const perceptron = (input: string, name: string): string => {
    const hidden = add('Gelu', [linear(input, `${name}.in`, width, 4 * width)], `${name}.hidden`);
    return linear(hidden, `${name}.out`, 4 * width, width);
  };

  const kernel = weights.random('patches.weight', [width, 3, patch, patch], 3 * patch ** 2);
  const grid = add('Conv', ['pixels', kernel], 'grid', {
    kernel_shape: [patch, patch],
    strides: [patch, patch],
  });
  const rows = add('Transpose', [add('Reshape', [grid, 'flatten'], 'columns')], 'rows', { perm: [0, 2, 1] });
  let state = add('Add', [rows, weights.random('positions', [1, patches, width], 1)], 'embedded');
  for (let layer = 0; layer < layers; layer += 1) {
    const name = `layer.${layer}`;
    const mixed = attention(normalised(state, `${name}.before_attention`), `${name}.attention`);
    state = add('Add', [state, mixed], `${name}.attended`);
    const thought = perceptron(normalised(state, `${name}.before_perceptron`), `${name}.perceptron`);
    state = add('Add', [state, thought], `${name}.state`);
  }
  const mean = add('ReduceMean', [normalised(state, 'final'), 'patch_axis'], 'mean', { keepdims: 0 });
  add('Identity', [linear(mean, 'head', width, classes)], 'logits');
  weights.close();

  const graph = create(GraphProtoSchema, {
    name: 'vision-transformer',
    input: [valueInfo('pixels', [3, picture, picture])],
    output: [valueInfo('logits', [classes])],
    initializer: [
      ...weights.tensors,
      integers('split_heads', [0, patches, heads, width / heads]),
      integers('join_heads', [0, patches, width]),
      integers('flatten', [0, width, patches]),
      integers('patch_axis', [1]),
      create(TensorProtoSchema, { name: 'per_head', dataType: FLOAT, floatData: [(width / heads) ** -0.5] }),
    ],
    node: nodes,
  });
  const proto = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: '', version: 20n }],
    graph,
  });
  writeFileSync(join(folder, 'vit.onnx'), toBinary(ModelProtoSchema, proto));
  return { parameters: weights.parameters };
}

/** Weights on their way to disk, and the tensors that point to them. */
class WeightFiles {
  readonly tensors: TensorProto[] = [];
  parameters = 0;
  readonly #folder: string;
  readonly #shardBytes: number;
  readonly #block = new Float32Array(1 << 16);
  #random: number;
  #shard = 0;
  #file: number | null = null;
  #offset = 0;

  constructor(folder: string, { shardBytes, seed }: { shardBytes: number; seed: number }) {
    this.#folder = folder;
    this.#shardBytes = shardBytes;
    // Neighbouring seeds must not start alike; 0 is the one state that xorshift never leaves.
    this.#random = Math.imul(seed, 0x9e3779b1) | 1;
  }

  /** Evenly distributed with a variance of 1/fanIn. */
  random(name: string, dims: number[], fanIn: number): string {
    const scale = Math.sqrt(3 / fanIn) / 2 ** 31;
    return this.#write(name, dims, (block) => {
      let state = this.#random;
      for (let index = 0; index < block.length; index += 1) {
        // Marsaglia's xorshift32 (2003).
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        block[index] = state * scale;
      }
      this.#random = state;
    });
  }

  constant(name: string, length: number, value: number): string {
    return this.#write(name, [length], (block) => block.fill(value));
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #write(name: string, dims: number[], fill: (block: Float32Array) => void): string {
    if (this.#file === null || this.#offset >= this.#shardBytes) this.#next();
    const count = dims.reduce((product, length) => product * length, 1);
    const entry = { location: this.#location(), offset: String(this.#offset), length: String(4 * count) };
    this.tensors.push(
      create(TensorProtoSchema, {
        name,
        dims: dims.map(BigInt),
        dataType: FLOAT,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entry).map(([key, value]) => ({ key, value })),
      }),
    );
    for (let left = count; left > 0; left -= this.#block.length) {
      const block = this.#block.subarray(0, left);
      fill(block);
      writeSync(this.#file!, block);
    }
    this.#offset += 4 * count;
    this.parameters += count;
    return name;
  }

  #next(): void {
    this.close();
    this.#shard += 1;
    this.#offset = 0;
    this.#file = openSync(join(this.#folder, this.#location()), 'wx');
  }

  #location(): string {
    return `vit-${String(this.#shard).padStart(5, '0')}.weights`;
  }
}

type Attributes = Record<string, number | number[]>;

function node(opType: string, input: string[], output: string, attributes: Attributes): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number'
      ? create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) })
      : create(AttributeProtoSchema, {
          name,
          type: AttributeProto_AttributeType.INTS,
          ints: value.map(BigInt),
        }),
  );
  return create(NodeProtoSchema, { opType, input, output: [output], name: output, attribute });
}

function integers(name: string, values: number[]): TensorProto {
  const dims = [BigInt(values.length)];
  return create(TensorProtoSchema, { name, dims, dataType: INT64, int64Data: values.map(BigInt) });
}

function valueInfo(name: string, lengths: number[]) {
  const dim = [
    { value: { case: 'dimParam' as const, value: 'N' } },
    ...lengths.map((length) => ({ value: { case: 'dimValue' as const, value: BigInt(length) } })),
  ];
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: FLOAT, shape: { dim } } } },
  });
}
