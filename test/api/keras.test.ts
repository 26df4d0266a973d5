import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { sharp } from '../../src/inference/images/libvips.ts';
import { exportModel } from '../../src/models/export/export-model.ts';
import { importManifest } from '../support/imported-models.ts';
import { hasNativeTensorFlow } from '../support/native-tensorflow.ts';
import { python } from '../support/python.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { startServingLike } from '../support/tensorflow-serving.ts';

const interpreter = python('tensorflow', 'keras', 'tensorflowjs');
const size = 224;

interface Saved {
  readonly format: string;
  readonly file: string;
  readonly input?: Record<string, unknown>;
  readonly scores?: string;
}

function writeManifest(folder: string, { format, file, input = { scale: 1 / 255 }, scores }: Saved): string {
  const labels = Array.from({ length: 10 }, (_, index) => `c${index}`);
  writeFileSync(join(folder, 'labels.txt'), labels.join('\n'));
  const manifest = join(folder, `${format}.json`);
  const described = {
    ...{ name: `keras-${format}`, version: 1, task: 'CLASSIFY', format, file, labels: 'labels.txt' },
    input: { width: size, height: size, ...input },
    output: { kind: 'probabilities', ...(scores && { scores }) },
  };
  writeFileSync(manifest, JSON.stringify(described));
  return manifest;
}

describe.skipIf(interpreter === null)(
  'a CNN that Keras trained and saved answers over HTTP as in Keras (needs Python with TensorFlow)',
  () => {
    let folder: string;
    let pictures: { base64: string }[];
    let wanted: number[][];
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'fovea-keras-'));
      const script = resolve(import.meta.dirname, '../support/keras_cnn.py');
      execFileSync(interpreter!, [script, folder], { stdio: ['ignore', 'ignore', 'pipe'] });
      wanted = JSON.parse(readFileSync(join(folder, 'answers.json'), 'utf8'));
      const pixels = readFileSync(join(folder, 'pictures.bin'));
      const raw = { width: size, height: size, channels: 3 } as const;
      pictures = await Promise.all(
        wanted.map(async (_, index) => {
          const picture = pixels.subarray(index * size * size * 3, (index + 1) * size * size * 3);
          return { base64: (await sharp(picture, { raw }).png().toBuffer()).toString('base64') };
        }),
      );
    }, 120_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    /** Imports one of its forms, and compares every probability of every picture. */
    async function compare(
      server: TestServer,
      saved: Saved,
      { device, tolerance }: { device: string; tolerance: number },
    ): Promise<void> {
      const manifest = writeManifest(folder, saved);
      const model = await importManifest(manifest, { server });
      expect(model.variants[0]).toMatchObject({ format: saved.format, maxBatch: 8 });
      const input = { model: model.name, images: pictures, topK: 10 };
      const { errors, data } = await server.operator.classify(input);
      expect(errors).toEqual([]);
      const { results, receipt } = data!.classify;
      expect(receipt).toMatchObject({ device, images: pictures.length, units: pictures.length });
      results.forEach((result, picture) => {
        if (!('labels' in result)) throw new Error(result.message);
        expect(result.labels).toHaveLength(10);
        for (const { index, score } of result.labels)
          expect(Math.abs(score - wanted[picture]![index]!)).toBeLessThan(tolerance);
      });
      await server.expectExactLedger();
    }

    it('learned something: its answers to pictures of different classes differ', () => {
      const best = wanted.map((scores) => scores.indexOf(Math.max(...scores)));
      expect(new Set(best).size).toBeGreaterThan(1);
    });

    it.skipIf(!hasNativeTensorFlow())(
      'as a SavedModel on native TensorFlow, within 1e-4 (needs npm run build:tensorflow)',
      async () => {
        const server = await startServer({ FOVEA_TENSORFLOW: 'native' });
        const exported = { format: 'saved-model', file: 'saved' };
        await compare(server, exported, { device: 'cpu', tolerance: 1e-4 }).finally(() => server.close());
      },
      120_000,
    );

    it.skipIf(!hasNativeTensorFlow() || python('tensorflow_serving', 'grpc') === null)(
      'exported for TensorFlow Serving, which answers in its place (needs npm run build:tensorflow, tensorflow-serving-api)',
      async () => {
        const saved = { format: 'saved-model', file: 'saved' };
        const exporting = await startServer();
        onTestFinished(() => exporting.close());
        const model = await importManifest(writeManifest(folder, saved), { server: exporting });
        const artifacts = new ArtifactStore(join(exporting.dataDir, 'artifacts'));
        const other = { shape: [1, 24, 32, 3], data: new Float32Array(24 * 32 * 3) };
        const serving = await startServingLike(interpreter!, other, (repository) =>
          exportModel(model, { target: 'tfserving', repository, artifacts }),
        );
        onTestFinished(() => serving.close());
        const server = await startServer({ FOVEA_WORKERS: `tfserving+grpc://127.0.0.1:${serving.grpc}` });
        await compare(server, saved, { device: 'remote', tolerance: 1e-4 }).finally(() => server.close());
      },
      240_000,
    );

    it.skipIf(!hasNativeTensorFlow())(
      'as a SavedModel that takes bytes, with another signature and another output beside (needs npm run build:tensorflow)',
      async () => {
        const server = await startServer({ FOVEA_TENSORFLOW: 'native' });
        const exported = { format: 'saved-model', file: 'bytes', input: {}, scores: 'scores' };
        await compare(server, exported, { device: 'cpu', tolerance: 1e-4 }).finally(() => server.close());
      },
      120_000,
    );

    it.skipIf(!hasNativeTensorFlow())(
      'damaged, it is refused in the words of TensorFlow, and others are served (needs npm run build:tensorflow)',
      async () => {
        const server = await startServer({ FOVEA_TENSORFLOW: 'native' });
        onTestFinished(() => server.close());
        const refusal = async (name: string, damage: (saved: string) => void) => {
          const saved = join(folder, name);
          cpSync(join(folder, 'saved'), saved, { recursive: true });
          damage(saved);
          const error = await importManifest(writeManifest(folder, { format: 'saved-model', file: name }), {
            server,
          }).catch((thrown: unknown) => thrown);
          expect(error).toMatchObject({ name: 'ManifestError' });
          return (error as Error).message;
        };
        const graph = (saved: string) => join(saved, 'saved_model.pb');
        const unknown = await refusal('unknown', (saved) => {
          const bytes = readFileSync(graph(saved)).toString('latin1');
          writeFileSync(graph(saved), Buffer.from(bytes.replaceAll('Softmax', 'Hardmax'), 'latin1'));
        });
        expect(unknown).toContain("Op type not registered 'Hardmax'");
        const data = 'variables/variables.data-00000-of-00001';
        const cut = await refusal('cut', (saved) => truncateSync(join(saved, data), 1_000));
        expect(cut).toMatch(/variables\.data-00000-of-00001|Read less bytes|OutOfRange/);
        const { errors } = await server.operator.classify({ model: 'shapes', images: pictures.slice(0, 1) });
        expect(errors).toEqual([]);
      },
      120_000,
    );

    it('converted to layers of TensorFlow.js, on WebAssembly, within 1e-3', async () => {
      const server = await startServer({ FOVEA_TENSORFLOW: 'wasm' });
      const converted = { format: 'tfjs-layers', file: 'layers/model.json' };
      await compare(server, converted, { device: 'wasm', tolerance: 1e-3 }).finally(() => server.close());
    }, 120_000);
  },
);
