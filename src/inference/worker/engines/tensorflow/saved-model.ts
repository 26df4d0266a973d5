import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Bundle } from '../../../bundle.ts';
import { onlyInput, type RawModel } from './raw-model.ts';
import type { NativeTensorFlow, SignatureDef } from './runtime.ts';

/** The one that a SavedModel is served by where it has several, as TensorFlow Serving has it. */
const DEFAULT_SIGNATURE = 'serving_default';

/**
 * Loads a SavedModel. TensorFlow wants a folder with the files under their names: for as long as it loads, there is one of
 * links into the store. Throws an Error in TensorFlow's words.
 */
export async function loadSavedModel(
  native: NativeTensorFlow,
  { files }: Bundle,
  pathOf: (sha256: string) => string,
): Promise<RawModel> {
  const folder = await mkdtemp(join(tmpdir(), 'fovea-saved-model-'));
  try {
    for (const [place, sha256] of Object.entries(files)) {
      await mkdir(dirname(join(folder, place)), { recursive: true });
      await symlink(pathOf(sha256), join(folder, place));
    }
    const { tags, name, signature } = await findSignature(native, folder);
    const [input, { tfDtype, shape }] = onlyInput(signature.inputs);
    const model = await native.loadSavedModel(folder, tags, name);
    return {
      input: {
        name: input,
        shape: shape.map((dimension) => dimension.getSize()),
        takesBytes: tfDtype !== 'DT_FLOAT',
      },
      outputs: Object.keys(signature.outputs),
      run: async (tensor, outputs) => {
        const all = model.predict({ [input]: tensor });
        for (const [key, each] of Object.entries(all)) if (!outputs.includes(key)) each.dispose();
        return outputs.map((key) => all[key]!);
      },
      dispose: () => model.dispose(),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function findSignature(
  native: NativeTensorFlow,
  folder: string,
): Promise<{ tags: readonly string[]; name: string; signature: SignatureDef }> {
  const graphs = await native.getMetaGraphsFromSavedModel(folder);
  const graph = graphs.find(({ tags }) => tags.includes('serve'));
  if (!graph) throw new Error("the SavedModel has no graph with the tag 'serve'");
  const names = Object.keys(graph.signatureDefs);
  const name = names.includes(DEFAULT_SIGNATURE) || names.length !== 1 ? DEFAULT_SIGNATURE : names[0]!;
  const signature = graph.signatureDefs[name];
  if (signature) return { tags: graph.tags, name, signature };
  throw new Error(`the SavedModel has no signature '${name}', only ${names.join(', ') || 'none'}`);
}
