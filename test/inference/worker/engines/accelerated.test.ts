import { create } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { placeOf } from '../../../../src/inference/artifact-store.ts';
import { bytesOf, elementsOf } from '../../../../src/inference/oip/elements.ts';
import type { Provider } from '../../../../src/inference/providers/provider.ts';
import type { Tensor } from '../../../../src/inference/tensor.ts';
import type { LoadedModel } from '../../../../src/inference/worker/engine.ts';
import { onnxEngine } from '../../../../src/inference/worker/engines/onnx.ts';
import { warmUp } from '../../../../src/inference/worker/warm-up.ts';
import { GraphProtoSchema, TensorProto_DataType } from '../../../../src/models/onnx/generated/onnx_pb.ts';
import { artifactFolder } from '../../../support/artifact-folder.ts';
import { moveWeightsOut } from '../../../support/external-data.ts';
import { meanModel, model, node, slowModel, valueInfo } from '../../../support/onnx-fixture.ts';
import { needsVulkan, useVulkan, vulkan } from '../../../support/vulkan.ts';
import { slowInputs } from '../in-process-worker.ts';

const { FLOAT, INT64 } = TensorProto_DataType;

async function load(graph: Uint8Array, providers: readonly Provider[] = ['webgpu'], folder = '.') {
  const engine = onnxEngine({ threads: 1, compute: { providers, deviceId: 0 } });
  const loaded = await engine.load(graph, { folder, hashes: [] });
  onTestFinished(() => loaded.dispose());
  return loaded;
}

const fours: Tensor = {
  name: 'images',
  datatype: 'UINT8',
  shape: [1, 2, 2, 3],
  data: new Uint8Array(12).fill(4),
};
const run = async (loaded: LoadedModel, inputs: Tensor[]) => {
  const outputs = await loaded.run(inputs, [loaded.outputs[0]!.name]);
  return [...elementsOf('FP32', outputs[0]!.data)];
};

describe.skipIf(vulkan === null)(`a model on WebGPU (${needsVulkan})`, () => {
  beforeAll(useVulkan);

  it('computes there, once warm as before, with nothing to remark', async () => {
    const loaded = await load(meanModel(2, 3));
    await warmUp(loaded, { maxBatch: 4, exactBatches: false });
    expect({ device: loaded.device, remarks: loaded.remarks }).toEqual({ device: 'webgpu', remarks: [] });
    expect(await run(loaded, [fours])).toEqual([12, 12, 12]);
  });

  it('finds weights that are files of their own', async () => {
    const artifacts = artifactFolder();
    let sha256 = '';
    const { graph } = moveWeightsOut(meanModel(2, 3), (_, bytes) => {
      sha256 = artifacts.put(bytes);
      return { location: placeOf(sha256) };
    });
    expect(sha256).not.toBe('');
    const loaded = await load(graph, ['webgpu'], `${artifacts.dir}/sha256`);
    expect(await run(loaded, [fours])).toEqual([12, 12, 12]);
    expect(loaded.device).toBe('webgpu');
  });

  it('is remarked on where it leaves nodes to the CPU, by their names, unless that was asked for', async () => {
    const loaded = await load(slowModel(2));
    expect(await run(loaded, slowInputs(2))).toEqual([4, 4, 4]);
    expect(loaded.device).toBe('webgpu');
    expect(loaded.remarks).toEqual([
      expect.stringMatching(/^\d of \d nodes run on the CPU, since webgpu cannot: .*\bLoop\b/),
    ]);
    const asked = await load(slowModel(2), ['webgpu', 'cpu']);
    await run(asked, slowInputs(2));
    expect({ device: asked.device, remarks: asked.remarks }).toEqual({ device: 'webgpu', remarks: [] });
  });

  it('says that the CPU computes where WebGPU took no node', async () => {
    const graph = create(GraphProtoSchema, {
      name: 'determinant',
      input: [valueInfo('x', FLOAT, [2, 2])],
      output: [valueInfo('y', FLOAT, [])],
      node: [node('Det', ['x'], ['y'])],
    });
    const loaded = await load(model(graph));
    const data = bytesOf(Float32Array.of(1, 2, 3, 4));
    const [determinant] = await run(loaded, [{ name: 'x', datatype: 'FP32', shape: [2, 2], data }]);
    expect(determinant).toBeCloseTo(-2, 5);
    expect(loaded.device).toBe('cpu');
    expect(loaded.remarks).toEqual(['1 of 1 nodes run on the CPU, since webgpu cannot: Det']);
  });

  it('reads nothing beyond a tensor, whatever the index', async () => {
    const graph = create(GraphProtoSchema, {
      name: 'look-up',
      input: [valueInfo('x', FLOAT, [64]), valueInfo('at', INT64, [3])],
      output: [valueInfo('y', FLOAT, [3])],
      node: [node('Gather', ['x', 'at'], ['y'])],
    });
    const loaded = await load(model(graph));
    const x = bytesOf(Float32Array.from({ length: 64 }, (_, index) => index + 1));
    const ask = (...at: bigint[]) =>
      run(loaded, [
        { name: 'x', datatype: 'FP32', shape: [64], data: x },
        { name: 'at', datatype: 'INT64', shape: [3], data: bytesOf(BigInt64Array.from(at)) },
      ]);
    expect(await ask(0n, 63n, -1n)).toEqual([1, 64, 64]);
    expect(await ask(64n, 100n, 1_000_000n)).toEqual([64, 64, 64]);
  });
});
