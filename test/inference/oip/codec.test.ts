import { describe, expect, it } from 'vitest';
import {
  headerLengthField,
  parseRequest,
  parseResponse,
  type WireMessage,
  writeRequest,
  writeResponse,
} from '../../../src/inference/oip/codec.ts';
import { bytesOf } from '../../../src/inference/oip/elements.ts';
import { OipError } from '../../../src/inference/oip/errors.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';

const pixels: Tensor = {
  name: 'images',
  datatype: 'UINT8',
  shape: [1, 2, 1, 3],
  data: Uint8Array.of(1, 2, 3, 4, 5, 255),
};
const counts: Tensor = {
  name: 'zähler',
  datatype: 'INT64',
  shape: [2],
  data: bytesOf(BigInt64Array.of(-1n, 2n ** 62n)),
};
const scores: Tensor = {
  name: 'scores',
  datatype: 'FP32',
  shape: [1, 2],
  data: bytesOf(Float32Array.of(0.25, -3)),
};
const everyType: Tensor[] = (
  [
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'FP32',
    'FP64',
  ] as const
).map((datatype, index) => {
  const size = [1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8][index] as number;
  return {
    name: datatype,
    datatype,
    shape: [3],
    data: Uint8Array.from({ length: 3 * size }, (_, i) => i % 2),
  };
});

function joined({ chunks }: WireMessage): Buffer {
  return Buffer.concat(chunks);
}

function plain({ name, datatype, shape, data }: Tensor) {
  return { name, datatype, shape, data: [...data] };
}

/** A request in our own hand, so that the codec is not its own judge. */
function binaryRequest(header: unknown, ...tensors: Uint8Array[]): [Buffer, string] {
  const json = Buffer.from(JSON.stringify(header));
  return [Buffer.concat([json, ...tensors]), String(json.byteLength)];
}

function refusal(act: () => unknown): OipError {
  try {
    act();
  } catch (error) {
    if (error instanceof OipError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('binary messages', () => {
  it('carry every data type, requests and responses', () => {
    const request = writeRequest(everyType, { parameters: { priority: 1 }, outputs: ['scores'] });
    const parsed = parseRequest(joined(request), request.headers[headerLengthField]);
    expect(parsed.inputs.map(plain)).toEqual(everyType.map(plain));
    expect(parsed.parameters).toMatchObject({ priority: 1 });
    expect(parsed.outputs).toEqual(['scores']);
    expect(parsed.binaryOutput('scores')).toBe(true);

    const response = writeResponse({
      model: 'm',
      id: 'request-1',
      parameters: { compute_ms: 1.5 },
      outputs: everyType,
      binaryOutput: () => true,
    });
    const answer = parseResponse(joined(response), response.headers[headerLengthField]);
    expect(answer.outputs.map(plain)).toEqual(everyType.map(plain));
    expect(answer.parameters).toEqual({ compute_ms: 1.5 });
  });

  it('say their length, and begin the tensors on a multiple of 8 bytes', () => {
    for (const name of ['a', 'ab', 'abc', 'abcd', 'é', 'abcdefg']) {
      const message = writeRequest([{ ...pixels, name }]);
      expect(Number(message.headers['content-length'])).toBe(joined(message).byteLength);
      expect(Number(message.headers[headerLengthField]) % 8).toBe(0);
    }
  });

  it('share the memory of the tensors they carry, and of the body they are read from', () => {
    const { chunks, headers } = writeRequest([pixels]);
    expect(chunks[1]).toBe(pixels.data);
    const body = Buffer.concat(chunks);
    expect(parseRequest(body, headers[headerLengthField]).inputs[0]?.data.buffer).toBe(body.buffer);
  });

  it('carry an empty tensor', () => {
    const empty: Tensor = { name: 'boxes', datatype: 'FP32', shape: [1, 0, 4], data: new Uint8Array(0) };
    const message = writeRequest([empty, pixels]);
    const { inputs } = parseRequest(joined(message), message.headers[headerLengthField]);
    expect(inputs.map(plain)).toEqual([empty, pixels].map(plain));
  });

  it('may mix binary and JSON tensors, in and out', () => {
    const [body, length] = binaryRequest(
      {
        inputs: [
          { name: 'a', datatype: 'UINT8', shape: [2], parameters: { binary_data_size: 2 } },
          { name: 'b', datatype: 'INT32', shape: [2, 1], data: [[-7], [8]] },
          { name: 'c', datatype: 'UINT8', shape: [1], parameters: { binary_data_size: 1 } },
        ],
        outputs: [{ name: 'x', parameters: { binary_data: true } }, { name: 'y' }],
      },
      Uint8Array.of(1, 2, 3),
    );
    const { inputs, binaryOutput, outputs } = parseRequest(body, length);
    expect(inputs.map(({ data }) => [...data])).toEqual([[1, 2], [...bytesOf(Int32Array.of(-7, 8))], [3]]);
    expect(outputs).toEqual(['x', 'y']);
    const response = writeResponse({
      model: 'm',
      id: null,
      parameters: {},
      outputs: [
        { ...scores, name: 'x' },
        { ...scores, name: 'y' },
      ],
      binaryOutput,
    });
    const headerLength = Number(response.headers[headerLengthField]);
    const header = JSON.parse(joined(response).subarray(0, headerLength).toString());
    expect(header.outputs).toEqual([
      { name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
      { name: 'y', datatype: 'FP32', shape: [1, 2], data: [0.25, -3] },
    ]);
    expect([...joined(response).subarray(headerLength)]).toEqual([...scores.data]);
  });
});

describe('JSON messages', () => {
  it('may have null for what they have not', () => {
    const none = { id: null, parameters: null };
    const tensor = { name: 'x', datatype: 'UINT8', shape: [1], parameters: null, data: [7] };
    const request = Buffer.from(JSON.stringify({ ...none, inputs: [tensor], outputs: null }));
    expect(parseRequest(request, undefined)).toMatchObject({ id: null, parameters: {}, outputs: null });
    const response = Buffer.from(JSON.stringify({ ...none, outputs: [tensor] }));
    expect(parseResponse(response, undefined).outputs.map(plain)).toEqual([
      { name: 'x', datatype: 'UINT8', shape: [1], data: [7] },
    ]);
  });

  it('take outputs: [] for all of them', () => {
    const inputs = [{ name: 'x', datatype: 'UINT8', shape: [1], data: [7] }];
    expect(parseRequest(Buffer.from(JSON.stringify({ inputs, outputs: [] })), undefined).outputs).toBeNull();
  });

  it('take nested and flat data', () => {
    const request = (data: unknown) =>
      Buffer.from(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], data }] }));
    const nested = parseRequest(
      request([
        [1, 2.5],
        [3, 4],
      ]),
      undefined,
    );
    const flat = parseRequest(request([1, 2.5, 3, 4]), undefined);
    expect(nested.inputs).toEqual(flat.inputs);
    expect([...(flat.inputs[0]?.data ?? [])]).toEqual([...bytesOf(Float32Array.of(1, 2.5, 3, 4))]);
    expect(flat.binaryOutput('any')).toBe(false);
  });

  it('answer as plain JSON', () => {
    const message = writeResponse({
      model: 'm',
      id: null,
      parameters: {},
      outputs: [scores, { name: 'flag', datatype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) }],
      binaryOutput: () => false,
    });
    expect(message.headers['content-type']).toBe('application/json');
    expect(message.headers).not.toHaveProperty(headerLengthField);
    expect(JSON.parse(joined(message).toString()).outputs).toEqual([
      { name: 'scores', datatype: 'FP32', shape: [1, 2], data: [0.25, -3] },
      { name: 'flag', datatype: 'BOOL', shape: [2], data: [false, true] },
    ]);
  });

  it.each([
    ['a 64-bit number beyond 2^53', counts],
    ['not a number', { ...scores, data: bytesOf(Float32Array.of(Number.NaN, 1)) }],
    ['half floats', { ...scores, datatype: 'FP16' as const, data: new Uint8Array(4) }],
  ])('refuse to answer what JSON would lose: %s', (_, output) => {
    const error = refusal(() =>
      writeResponse({ model: 'm', id: null, parameters: {}, outputs: [output], binaryOutput: () => false }),
    );
    expect(error.status).toBe(400);
    expect(error.message).toContain(`output '${output.name}'`);
  });
});

describe('malformed requests are refused with 400, naming the tensor', () => {
  const entry = { name: 'x', datatype: 'UINT8', shape: [2], parameters: { binary_data_size: 2 } };
  const two = Uint8Array.of(1, 2);
  const inJson = (datatype: string, data: unknown, shape: unknown = [1]) => [
    { name: 'x', datatype, shape, data },
  ];

  it.each<[string, unknown, Uint8Array, RegExp]>([
    ['unknown datatype', [{ ...entry, datatype: 'BYTES' }], two, /'x'.*datatype.*UINT8.*found "BYTES"/],
    [
      'a datatype from the prototype',
      [{ ...entry, datatype: 'toString' }],
      two,
      /'x'.*datatype.*found "toString"/,
    ],
    ['negative shape', [{ ...entry, shape: [-1, -2] }], two, /'x'.*shape.*found \[-1,-2\]/],
    ['fractional shape', [{ ...entry, shape: [1.5] }], two, /'x'.*shape/],
    ['no shape', [{ ...entry, shape: undefined }], two, /'x'.*shape/],
    ['a shape whose product overflows', [{ ...entry, shape: [2 ** 40, 2 ** 40] }], two, /'x'.*shape/],
    ['too many dimensions', [{ ...entry, shape: Array(17).fill(1) }], two, /'x'.*shape/],
    [
      'size that does not fit the shape',
      [{ ...entry, shape: [3] }],
      two,
      /'x'.*expected binary_data_size 3.*found 2/,
    ],
    ['size that is no number', [{ ...entry, parameters: { binary_data_size: '2' } }], two, /'x'.*found "2"/],
    ['too few bytes', [entry], two.subarray(1), /'x'.*expected 2 bytes.*found 1/],
    ['too many bytes', [entry], Uint8Array.of(1, 2, 3), /expected 2 bytes.*'x'.*found 3/],
    ['the same name twice', [entry, entry], Uint8Array.of(1, 2, 3, 4), /'x': listed twice/],
    ['both forms of data', [{ ...entry, data: [1, 2] }], two, /'x'.*both/],
    ['no name', [{ ...entry, name: '' }], two, /input 0.*name/],
    ['a tensor that is no object', ['x'], two, /input 0.*object/],
    ['inputs that are no array', { x: entry }, two, /inputs.*array/],
    ['no inputs', [], new Uint8Array(0), /inputs.*at least one/],
    ['JSON data missing', inJson('UINT8', undefined), new Uint8Array(0), /'x'.*data/],
    ['too few elements', inJson('UINT8', [1], [2]), new Uint8Array(0), /'x'.*expected 2 elements.*found 1/],
    [
      'nested deeper than the shape',
      inJson('UINT8', [[[1]]]),
      new Uint8Array(0),
      /'x'.*element 0.*found \[\[1\]\]/,
    ],
    [
      'a number that does not fit',
      inJson('UINT8', [256]),
      new Uint8Array(0),
      /'x'.*0\.\.255 at element 0, found 256/,
    ],
    ['a fraction for an integer', inJson('INT64', [0.5]), new Uint8Array(0), /'x'.*found 0.5/],
    [
      'a word for a number',
      inJson('FP32', ['1']),
      new Uint8Array(0),
      /'x'.*a number at element 0, found "1"/,
    ],
    ['a number for a truth', inJson('BOOL', [1]), new Uint8Array(0), /'x'.*true or false.*found 1/],
    ['half floats in JSON', inJson('FP16', [1]), new Uint8Array(0), /'x'.*FP16/],
  ])('%s', (_, inputs, binary, message) => {
    const [body, length] = binaryRequest({ inputs }, binary);
    const error = refusal(() => parseRequest(body, length));
    expect(error.status).toBe(400);
    expect(error.message).toMatch(message);
  });

  it.each(['-1', '1e3', '0x10', '99999', '', '9'.repeat(30)])('header length %j', (length) => {
    const [body] = binaryRequest({ inputs: [entry] }, two);
    expect(refusal(() => parseRequest(body, length)).message).toMatch(headerLengthField);
  });

  it.each(['', 'null', '[]', '{', '"x"', '\u0000'])('header %j', (text) => {
    const error = refusal(() => parseRequest(Buffer.from(text), String(text.length)));
    expect(error.status).toBe(400);
    expect(error.message).toMatch(/header|inputs/);
  });

  it('outputs and parameters of the wrong kind', () => {
    const inputs = inJson('UINT8', [1]);
    const parse = (more: object) => parseRequest(Buffer.from(JSON.stringify({ inputs, ...more })), undefined);
    expect(refusal(() => parse({ outputs: 'scores' })).message).toMatch(/outputs.*array/);
    expect(refusal(() => parse({ outputs: [{}] })).message).toMatch(/output 0.*name/);
    expect(refusal(() => parse({ parameters: [] })).message).toMatch(/parameters.*object/);
  });

  it('and a malformed answer is the worker’s fault: 502', () => {
    const body = Buffer.from(
      JSON.stringify({ outputs: [{ name: 'y', datatype: 'FP32', shape: [2], data: [1] }] }),
    );
    const error = refusal(() => parseResponse(body, undefined));
    expect(error.status).toBe(502);
    expect(error.message).toMatch(/output 'y'/);
  });
});
