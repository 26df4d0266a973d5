import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { meanModel, slowModel } from '../support/onnx-fixture.ts';
import { python } from '../support/python.ts';
import { startWorkerCommand } from '../support/worker-command.ts';

const interpreter = python('tritonclient', 'geventhttpclient', 'numpy');
const script = resolve(import.meta.dirname, '../support/triton_client.py');

it.skipIf(interpreter === null)(
  "serves Triton's own client (skipped where Python has no tritonclient[http])",
  async () => {
    const token = 'a-token-of-this-test';
    const { address, artifacts } = await startWorkerCommand({ env: { FOVEA_WORKER_TOKEN: token } });
    const hashes = [meanModel(2, 1), slowModel(2)].map((graph) => artifacts.put(graph));
    const { host } = new URL(address);
    const { stdout } = await promisify(execFile)(interpreter!, [script, host, token, ...hashes]);
    const found = JSON.parse(stdout);

    expect(found.unauthorized).toEqual({ status: '401', message: expect.stringContaining('Bearer') });
    expect([found.live, found.ready]).toEqual([true, true]);
    expect(found.server).toMatchObject({ name: 'fovea', extensions: expect.arrayContaining(['statistics']) });
    expect(found.model_ready).toEqual([true, true, false]);
    expect(found.model).toMatchObject({
      name: 'mean',
      inputs: [{ datatype: 'UINT8', shape: [-1, 2, 2, 3] }],
    });

    const answer = {
      id: null,
      dtype: 'float32',
      means: [
        [10, 20, 30],
        [1, 2, 3],
      ],
    };
    const alike = [
      'binary',
      'binary_in_json_out',
      'json_in_binary_out',
      'packed',
      'version',
      'scheduled',
      'again',
    ];
    for (const way of alike) expect([way, found[way]]).toEqual([way, answer]);
    expect(found.json).toEqual({ ...answer, id: 'r-1' });

    expect(found.bad_priority).toEqual({
      status: '400',
      message: expect.stringContaining('parameters.priority'),
    });
    expect(found.bad_output).toEqual({ status: '400', message: expect.stringContaining("'boxes'") });
    expect(found.none).toEqual({ status: '404', message: "model 'none' is not loaded" });
    expect(found.late).toEqual({
      status: '503',
      message: expect.stringContaining('Request timeout expired'),
    });
    expect(found.slow).toEqual([true, true, true, true, true]);

    const [statistics] = found.statistics.model_stats;
    const count = 7 + found.in_time;
    expect(statistics).toMatchObject({ inference_count: 2 * count, execution_count: count });
    expect(statistics.inference_stats).toMatchObject({ success: { count }, fail: { count: 3 } });
    expect(statistics.batch_stats).toMatchObject([{ batch_size: 2, compute_infer: { count } }]);

    const listed = (name: string, state: string, reason = '') => ({ name, version: '1', state, reason });
    expect(found.index).toEqual([listed('mean', 'READY'), listed('slow', 'READY')]);
    expect(found.unloaded).toEqual([
      false,
      [listed('slow', 'READY'), listed('mean', 'UNAVAILABLE', 'unloaded')],
    ]);
  },
  120_000,
);
