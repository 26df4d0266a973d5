import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { elementsOf } from '../../src/inference/oip/elements.ts';
import type { Tensor } from '../../src/inference/tensor.ts';
import { TrialError, type Trials, withTrials } from '../../src/models/trials.ts';
import { failsOnWhiteModel, meanModel } from '../support/onnx-fixture.ts';
import { hasProc, readProc, trialProcesses } from './trial-processes.ts';

const size = 2;
const onnx = { format: 'onnx', externalData: [], maxBatch: 1 } as const;

function freshArtifacts(): ArtifactStore {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-trials-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return new ArtifactStore(folder);
}

const plain = (level: number): Tensor => ({
  ...{ name: 'images', datatype: 'UINT8', shape: [1, size, size, 3] },
  data: new Uint8Array(size * size * 3).fill(level),
});

/** What a graph answers to a picture that is `level` all over. */
function answerOf(trials: Trials, graph: Uint8Array, level = 8): Promise<number[]> {
  return trials.try(graph, onnx, async (run) => {
    const [means] = await run(plain(level));
    return Array.from(elementsOf(means!.datatype, means!.data), Number);
  });
}

describe('graphs that are tried', () => {
  it.skipIf(!hasProc)('share a process, one after the other (needs /proc)', async () => {
    await withTrials({ artifacts: freshArtifacts() }, async (trials) => {
      expect(trialProcesses()).toEqual([]);
      expect(await answerOf(trials, meanModel(size, 1))).toEqual([8, 8, 8]);
      const [first] = trialProcesses();
      expect(await answerOf(trials, meanModel(size, 2))).toEqual([16, 16, 16]);
      expect(trialProcesses()).toEqual([first]);
    });
    expect(trialProcesses()).toEqual([]);
  });

  it.skipIf(!hasProc)('are not blamed for a process that died before their turn (needs /proc)', async () => {
    await withTrials({ artifacts: freshArtifacts() }, async (trials) => {
      await answerOf(trials, meanModel(size, 1));
      const [used] = trialProcesses();
      process.kill(used!.pid, 'SIGKILL');
      // Until this process has heard of it.
      await vi.waitUntil(() => readProc(used!.pid, 'status') === '', { timeout: 10_000 });
      expect(await answerOf(trials, meanModel(size, 3))).toEqual([24, 24, 24]);
    });
  });

  it.skipIf(!hasProc)('leave their process to nobody where they fail (needs /proc)', async () => {
    await withTrials({ artifacts: freshArtifacts() }, async (trials) => {
      const failing = failsOnWhiteModel(size);
      expect(await answerOf(trials, failing, 0)).toEqual([0, 0, 0]);
      const [used] = trialProcesses();
      await expect(answerOf(trials, failing, 255)).rejects.toThrow(TrialError);
      expect(trialProcesses()).toEqual([]);
      expect(await answerOf(trials, meanModel(size, 1))).toEqual([8, 8, 8]);
      expect(trialProcesses()[0]!.pid).not.toBe(used!.pid);
      // So it is where it is not the graph that fails, but whoever judges its answers.
      const judge = () => trials.try(meanModel(size, 1), onnx, () => Promise.reject(new Error('wrong')));
      await expect(judge()).rejects.toThrow('wrong');
      expect(trialProcesses()).toEqual([]);
    });
  });

  it.skipIf(!hasProc)(
    'have a second try where one before may have spoilt their process (needs /proc)',
    async () => {
      await withTrials({ artifacts: freshArtifacts() }, async (trials) => {
        const killed: number[] = [];
        const dying = (graph: Uint8Array, deaths: number) =>
          trials.try(graph, onnx, async (run) => {
            const [{ pid } = { pid: 0 }] = trialProcesses();
            if (killed.length < deaths) {
              killed.push(pid);
              process.kill(pid, 'SIGKILL');
            }
            return (await run(plain(8))).length;
          });
        // The first one of a process has nobody else to blame.
        await expect(dying(meanModel(size, 1), 1)).rejects.toThrow('ended the process it was tried in');
        await answerOf(trials, meanModel(size, 1));
        expect(await dying(meanModel(size, 2), 2)).toBe(1);
        expect(new Set(killed).size).toBe(2);
        await answerOf(trials, meanModel(size, 1));
        await expect(dying(meanModel(size, 2), 4)).rejects.toThrow('ended the process it was tried in');
      });
    },
  );

  it.skipIf(!hasProc)(
    'that have passed lose nothing where they cannot be unloaded (needs /proc)',
    async () => {
      await withTrials({ artifacts: freshArtifacts() }, async (trials) => {
        const passed = await trials.try(meanModel(size, 1), onnx, async (run) => {
          const answered = await run(plain(8));
          process.kill(trialProcesses()[0]!.pid, 'SIGKILL');
          return answered.length;
        });
        expect(passed).toBe(1);
        expect(await answerOf(trials, meanModel(size, 2))).toEqual([16, 16, 16]);
      });
    },
  );
});

it('where nothing is tried, nothing is written; what was tried and not taken is removed', async () => {
  const artifacts = freshArtifacts();
  await withTrials({ artifacts }, async () => {
    expect(readdirSync(artifacts.dir)).toEqual([]);
  });
  await withTrials({ artifacts }, async (trials) => {
    await answerOf(trials, meanModel(size, 1));
    const { dir } = await trials.store();
    expect(existsSync(dir)).toBe(true);
    await trials.end();
    expect(readdirSync(artifacts.dir)).toEqual([]);
    // And may be tried again.
    expect(await answerOf(trials, meanModel(size, 1))).toEqual([8, 8, 8]);
  });
  expect(readdirSync(artifacts.dir)).toEqual([]);
});
