import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { proofPictures } from '../../src/models/proof-pictures.ts';
import { exportPublic } from '../support/exported-models.ts';
import { importMarker } from '../support/imported-models.ts';
import { parsePbtxt, type TextMessage } from '../support/pbtxt.ts';
import { python } from '../support/python.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
const repository = mkdtempSync(join(tmpdir(), 'fovea-repository-'));
beforeAll(async () => {
  server = await startServer();
  for (const head of ['boxes-scores', 'ssd', 'detections', 'mask-logits'] as const)
    await importMarker({ name: head, head, size: 32 }, { server });
  await exportPublic(server, repository);
}, 120_000);
afterAll(async () => {
  await server?.close();
  rmSync(repository, { recursive: true });
});

/** Of what the marker models hold for other heads. */
const quiet = { logSeverityLevel: 3 } as const;

const configOf = (name: string) => readFileSync(join(repository, name, 'config.pbtxt'), 'utf8');

it('an exported graph answers in plain ONNX Runtime what the API does', async () => {
  const side = 64; // A picture of this size goes into `shapes` as it is.
  const pictures = proofPictures(side, side);
  const session = await InferenceSession.create(join(repository, 'shapes/1/model.onnx'), quiet);
  const config = parsePbtxt(configOf('shapes'));
  const [{ name: input }, { name: output }] = [config.input, config.output].map(
    (all) => all![0] as TextMessage,
  ) as [TextMessage, TextMessage];
  const pixels = new Tensor('uint8', Buffer.concat(pictures), [pictures.length, side, side, 3]);
  const outputs = await session.run({ [input![0] as string]: pixels });
  const logits = outputs[output![0] as string]!;
  await session.release();

  const classes = logits.dims[1]!;
  const images = await Promise.all(
    pictures.map(async (picture) => {
      const png = sharp(picture, { raw: { width: side, height: side, channels: 3 } }).png();
      return { base64: (await png.toBuffer()).toString('base64') };
    }),
  );
  const { data, errors } = await server.operator.classify({ images, topK: 25 });
  expect(errors).toEqual([]);
  data!.classify.results.forEach((result, index) => {
    const row = (logits.data as Float32Array).subarray(index * classes, (index + 1) * classes);
    const most = Math.max(...row);
    const shares = Array.from(row, (logit) => Math.exp(logit - most));
    const sum = shares.reduce((total, share) => total + share);
    if (result.__typename !== 'Classification') throw new Error(result.message);
    expect(result.labels).toHaveLength(25);
    for (const { index: label, score } of result.labels) expect(score).toBeCloseTo(shares[label]! / sum, 5);
  });
});

it('every configuration names the tensors that its graph has', async () => {
  const models = readdirSync(repository);
  expect(models).toEqual(expect.arrayContaining(['shapes', 'shapes-detect', 'shapes-segment', 'ssd']));
  for (const model of models) {
    const config = parsePbtxt(configOf(model));
    const session = await InferenceSession.create(join(repository, model, '1/model.onnx'), quiet);
    const names = (field: string) => config[field]!.map((tensor) => (tensor as TextMessage).name![0]);
    expect(config.name).toEqual([model]);
    expect(names('input')).toEqual(session.inputNames);
    expect(names('output')).toEqual(session.outputNames);
    await session.release();
  }
});

const interpreter = python('tritonclient.grpc', 'google.protobuf');

it.skipIf(interpreter === null)(
  "every configuration is one by Triton's own model_config.proto (skipped without tritonclient[grpc] in Python)",
  () => {
    const program = `
import json, sys, pathlib
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
configs = {}
for path in pathlib.Path(sys.argv[1]).glob('*/config.pbtxt'):
    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    configs[path.parent.name] = json_format.MessageToDict(config, preserving_proto_field_name=True)
print(json.dumps(configs))`;
    const configs = JSON.parse(execFileSync(interpreter!, ['-c', program, repository], { encoding: 'utf8' }));
    expect(Object.keys(configs).sort()).toEqual(readdirSync(repository).sort());
    expect(configs.shapes).toEqual({
      name: 'shapes',
      backend: 'onnxruntime',
      max_batch_size: Number(parsePbtxt(configOf('shapes')).max_batch_size![0]),
      input: [{ name: expect.any(String), data_type: 'TYPE_UINT8', dims: ['64', '64', '3'] }],
      output: [{ name: expect.any(String), data_type: 'TYPE_FP32', dims: ['36'] }],
      dynamic_batching: {},
      instance_group: [{ count: 1 }], // KIND_AUTO is its default.
      version_policy: { all: {} },
    });
    expect(configs.shapes.max_batch_size).toBeGreaterThan(1);
    expect(configs['mask-logits']).toMatchObject({
      name: 'mask-logits',
      output: [{ dims: ['2', '32', '32'] }],
    });
  },
);
