import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeGraph } from '../../src/models/onnx/describe.ts';
import { readModel } from '../../src/models/onnx/model-file.ts';
import { layOutPublished, oddDetector } from '../support/manifests/published.ts';
import { sharedData } from '../support/shared-data.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';

describe.skipIf(sharedData('models') === null)(
  'published detectors and segmenters (needs shared data)',
  () => {
    let scene: ImportScene;

    beforeAll(async () => {
      scene = await openImportScene();
    });
    afterAll(() => scene.close());

    it.each([
      [
        'yolox_nano_416, written for one picture at a time',
        'yolox_nano_416',
        { kind: 'yolox', tensor: 'output', strides: [8, 16, 32] },
        ['person', 80],
        { maxBatch: 8, pixels: [416, 416], answers: [3549, 85] },
      ],
      [
        'ultraface_rfb_320, with 244 initialisers among its inputs',
        'ultraface_rfb_320',
        {
          ...{ kind: 'boxes-scores', boxes: 'boxes', scores: 'scores' },
          ...{ format: 'xyxy', normalized: true, background: 0 },
        },
        ['background', 2],
        { maxBatch: 8, pixels: [240, 320], answers: [4420, 2] },
      ],
      [
        'deeplabv3_mnv2_voc_513, whose answers leave place for three in a message',
        'deeplabv3_mnv2_voc_513',
        { kind: 'mask-logits', tensor: 'logits', layout: 'NCHW', background: 0 },
        ['background', 21],
        { maxBatch: 3, pixels: [513, 513], answers: [21, 513, 513] },
      ],
    ] as const)(
      '%s: takes batches, and is stored as its manifest says',
      async (_, name, output, labels, graph) => {
        const laidOut = layOutPublished(name)!;
        const model = await scene.import(laidOut.manifest).finally(laidOut.remove);
        const [variant] = model.variants;
        expect(variant!.output).toEqual(output);
        expect(variant!.maxBatch).toBe(graph.maxBatch);
        expect([model.labels[0], model.labels.length]).toEqual(labels);
        const stored = readModel(readFileSync(scene.artifacts.path(variant!.artifactSha256)));
        const { inputs, outputs } = describeGraph(stored);
        expect(inputs).toEqual([{ name: 'pixels', type: 'UINT8', shape: ['N', ...graph.pixels, 3] }]);
        expect(outputs[0]).toMatchObject({ type: 'FLOAT', shape: ['N', ...graph.answers] });
      },
      120_000,
    );

    it.each([
      [{ kind: 'yolox', strides: [16] }, '[N,484,5+C] as "yolox" has it for strides 16 at 352×352'],
      [{ kind: 'yolov5', strides: [16] }, '[N,k·484,5+C]'],
      [{ kind: 'yolov5', strides: [16], anchors: [[9, 9, 20, 20]] }, '[N,968,5+C]'],
      [{ kind: 'yolov8', strides: [16] }, '[N,4+C,484] or [N,484,4+C]'],
      [{ kind: 'nanodet', strides: [16], regMax: 7 }, '[N,484,C+32]'],
      [
        { kind: 'detections', columns: ['cx', 'cy', 'w', 'h', 'score', 'class'], normalized: true },
        '[N,M,6]',
      ],
      [
        { kind: 'boxes-scores', boxes: '758', scores: '758', format: 'cxcywh', normalized: true },
        "'758' as boxes [N,A,4]",
      ],
      [
        {
          ...{ kind: 'ssd', boxes: '758', scores: '758', classes: '758', count: '758' },
          ...{ format: 'xyxy', normalized: true },
        },
        "'758' as boxes [N,M,4]",
      ],
    ])(
      `${oddDetector}, a head of its own kind, is refused as %j with what it answers`,
      async (output, wanted) => {
        const laidOut = layOutPublished(oddDetector)!;
        const manifest = JSON.parse(readFileSync(laidOut.manifest, 'utf8'));
        const path = join(dirname(laidOut.manifest), 'manifest.json');
        writeFileSync(path, JSON.stringify({ ...manifest, output }));
        const refused = scene.import(path).finally(laidOut.remove);
        await expect(refused).rejects.toThrow(`output: found '758' FLOAT [1,85,22,22]; wanted ${wanted}`);
      },
      60_000,
    );
  },
);
