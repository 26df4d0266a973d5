import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/models/onnx/generated/onnx_pb.ts';

const { FLOAT, UINT8, INT64, BOOL } = TensorProto_DataType;

export interface FixtureOptions {
  /** null: free. */
  batch?: number | null;
  /** Makes files, hence hashes, differ. */
  note?: string;
}

/**
 * `images` uint8 [batch, size, size, 3] → `means` float32 [batch, 3]: the mean of every channel times `gain`. Tiny, and its
 * right answer can be said without it.
 */
export function meanModel(
  size: number,
  gain: number,
  { batch = null, note = '' }: FixtureOptions = {},
): Uint8Array {
  const weights = [gain, 0, 0, 0, gain, 0, 0, 0, gain];
  const graph = create(GraphProtoSchema, {
    name: `mean${note}`,
    input: [valueInfo('images', UINT8, [batch, size, size, 3])],
    output: [valueInfo('means', FLOAT, [batch, 3])],
    initializer: [floats('weights', [3, 3], weights)],
    node: [...means('images', 'raw'), node('MatMul', ['raw', 'weights'], ['means'])],
  });
  return model(graph);
}

/**
 * As `meanModel` with gain 1 or -1, but it takes as long as it is told to: the channels' means are negated `rounds` (int64
 * [1]) times, some million rounds a second. `counted` (int64 [1]) is `rounds` again.
 */
export function slowModel(size: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'slow',
    input: [valueInfo('images', UINT8, [null, size, size, 3]), valueInfo('rounds', INT64, [1])],
    output: [valueInfo('means', FLOAT, [null, 3]), valueInfo('counted', INT64, [1])],
    node: [...means('images', 'raw'), negations('rounds', ''), node('Identity', ['rounds'], ['counted'])],
  });
  return model(graph);
}

/** As `slowModel`, but it always takes so many rounds, for a batch as for one image. */
export function steadyModel(size: number, rounds: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'steady',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('means', FLOAT, [null, 3])],
    initializer: [floats('always', [], [rounds])],
    node: [...means('images', 'raw'), castTo(INT64, 'always', 'rounds'), negations('rounds', '')],
  });
  return model(graph);
}

/**
 * As `slowModel`, but it is the pictures that tell how long: 2 to the power of the brightest channel's mean, 20 for some
 * second, 40 for ever.
 */
export function slowOnBrightModel(size: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'slow-on-bright',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('means', FLOAT, [null, 3])],
    initializer: [floats('two', [], [2])],
    node: [
      ...means('images', 'raw'),
      reduction('ReduceMax', 'raw', 'brightest', [0n, 1n]),
      node('Pow', ['two', 'brightest'], ['power']),
      castTo(INT64, 'power', 'rounds'),
      negations('rounds', ''),
    ],
  });
  return model(graph);
}

/** As `meanModel` with gain 1, but a batch with a picture in it that is white all over is never done. */
export function stuckOnWhiteModel(size: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'stuck-on-white',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('means', FLOAT, [null, 3])],
    initializer: [floats('nearly_white', [], [254.5])],
    node: [
      ...means('images', 'raw'),
      reduction('ReduceMin', 'raw', 'darkest', [1n]),
      reduction('ReduceMax', 'darkest', 'whitest', [0n]),
      node('Greater', ['whitest', 'nearly_white'], ['any_white']),
      negations('', 'any_white'),
    ],
  });
  return model(graph);
}

/** As `meanModel` with gain 1, but a batch with a picture in it that is white all over is an error. */
export function failsOnWhiteModel(size: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'fails-on-white',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('means', FLOAT, [null, 3])],
    initializer: [floats('nearly_white', [], [254.5]), floats('one_element', [1], [0])],
    node: [
      ...means('images', 'raw'),
      reduction('ReduceMin', 'raw', 'darkest', [1n]),
      reduction('ReduceMax', 'darkest', 'whitest', [0n]),
      node('Greater', ['whitest', 'nearly_white'], ['any_white']),
      castTo(INT64, 'any_white', 'index'),
      node('Gather', ['one_element', 'index'], ['nothing']),
      node('Add', ['raw', 'nothing'], ['means']),
    ],
  });
  return model(graph);
}

/** The logarithm of how far every channel's mean is above 8: of a picture that is darker, no number. */
export function unreadableOnDarkModel(size: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'unreadable-on-dark',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('logs', FLOAT, [null, 3])],
    initializer: [floats('eight', [], [8])],
    node: [
      ...means('images', 'raw'),
      node('Sub', ['raw', 'eight'], ['above']),
      node('Log', ['above'], ['logs']),
    ],
  });
  return model(graph);
}

/** As `meanModel` with gain 1, but it has a table of `megabytes` beside it, of which each image reads a row of zeros. */
export function heavyModel(size: number, megabytes: number, note = ''): Uint8Array {
  const rows = (megabytes * 2 ** 20) / 12;
  const table = create(TensorProtoSchema, {
    ...{ name: 'table', dims: [BigInt(Math.ceil(rows)), 3n], dataType: FLOAT },
    rawData: new Uint8Array(Math.ceil(rows) * 12),
  });
  const graph = create(GraphProtoSchema, {
    name: `heavy${note}`,
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('means', FLOAT, [null, 3])],
    initializer: [table],
    node: [
      ...means('images', 'raw'),
      reduction('ReduceMax', 'raw', 'brightest', [1n]),
      castTo(INT64, 'brightest', 'row'),
      node('Gather', ['table', 'row'], ['nothing']),
      node('Add', ['raw', 'nothing'], ['means']),
    ],
  });
  return model(graph);
}

/**
 * `images` uint8 [N, size, size, 3] → `columns` float32 [N, size, 3]: the mean of every column, its pixels weighted. ONNX Runtime
 * adds a lone image's up in another order than a batch's.
 */
export function columnsModel(size: number): Uint8Array {
  const weights = Array.from({ length: size * size * 3 }, (_, index) => Math.sin(index));
  const graph = create(GraphProtoSchema, {
    name: 'columns',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('columns', FLOAT, [null, size, 3])],
    initializer: [floats('weights', [size, size, 3], weights)],
    node: [
      castTo(FLOAT, 'images', 'images_float'),
      node('Mul', ['images_float', 'weights'], ['weighted']),
      reduction('ReduceMean', 'weighted', 'columns', [1n]),
    ],
  });
  return model(graph);
}

/** A graph that declares a free batch and takes one image alone. */
export function singleImageModel(size: number): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'single',
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: [valueInfo('means', FLOAT, [null, 3])],
    initializer: [
      create(TensorProtoSchema, { name: 'one', dims: [2n], dataType: INT64, int64Data: [1n, 3n] }),
    ],
    node: [...means('images', 'raw'), node('Reshape', ['raw', 'one'], ['means'])],
  });
  return model(graph);
}

function means(input: string, output: string): NodeProto[] {
  return [
    castTo(FLOAT, input, `${input}_float`),
    reduction('ReduceMean', `${input}_float`, output, [1n, 2n]),
  ];
}

function castTo(type: TensorProto_DataType, input: string, output: string): NodeProto {
  const cast = node('Cast', [input], [output]);
  cast.attribute.push(
    create(AttributeProtoSchema, { name: 'to', type: AttributeProto_AttributeType.INT, i: BigInt(type) }),
  );
  return cast;
}

/** `raw` negated so many times, or without end where `goOn` says so, to `means`. */
function negations(rounds: string, goOn: string): NodeProto {
  const body = create(GraphProtoSchema, {
    name: 'body',
    input: [
      valueInfo('round', INT64, []),
      valueInfo('go_on', BOOL, []),
      valueInfo('before', FLOAT, [null, 3]),
    ],
    output: [valueInfo('still', BOOL, []), valueInfo('after', FLOAT, [null, 3])],
    node: [node('Identity', ['go_on'], ['still']), node('Neg', ['before'], ['after'])],
  });
  const loop = node('Loop', [rounds, goOn, 'raw'], ['means']);
  loop.attribute.push(
    create(AttributeProtoSchema, { name: 'body', type: AttributeProto_AttributeType.GRAPH, g: body }),
  );
  return loop;
}

export function reduction(
  opType: string,
  input: string,
  output: string,
  axes: bigint[],
  keepsAxes = false,
): NodeProto {
  const reduce = node(opType, [input], [output]);
  reduce.attribute.push(
    create(AttributeProtoSchema, { name: 'axes', type: AttributeProto_AttributeType.INTS, ints: axes }),
    create(AttributeProtoSchema, {
      name: 'keepdims',
      type: AttributeProto_AttributeType.INT,
      i: keepsAxes ? 1n : 0n,
    }),
  );
  return reduce;
}

export function model(graph: GraphProto): Uint8Array {
  const proto = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 13n }],
    graph,
  });
  return toBinary(ModelProtoSchema, proto);
}

export function node(opType: string, input: string[], output: string[]): NodeProto {
  return create(NodeProtoSchema, { opType, input, output, name: output.join('_') });
}

export function floats(name: string, dims: number[], values: number[]): TensorProto {
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: FLOAT, floatData: values });
}

export function valueInfo(name: string, elemType: number, dims: (number | null)[]): ValueInfoProto {
  const dim = dims.map((length) =>
    length === null
      ? { value: { case: 'dimParam' as const, value: 'N' } }
      : { value: { case: 'dimValue' as const, value: BigInt(length) } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType, shape: { dim } } } },
  });
}
