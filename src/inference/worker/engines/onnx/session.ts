import { InferenceSession } from 'onnxruntime-node';
import type { Compute, Provider } from '../../../providers/provider.ts';

/**
 * The official builds for Linux and macOS report models and hardware to Microsoft unless this is set before the runtime's
 * first session. What an operator serves is nobody else's business.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';

/** An artefact, and where the files lie that it points to for its weights. */
export interface Graph {
  readonly artifact: Uint8Array;
  readonly folder: string;
}

export interface ComputeSettings {
  /** Threads that one run, or what of it is left to the CPU, computes with. */
  readonly threads: number;
  readonly compute: Compute;
}

/** `profile`: where to write how its runs went until `endProfiling`, the start of a path. Throws in the runtime's words. */
export function createSession(
  { artifact, folder }: Graph,
  { threads, compute: { providers } }: ComputeSettings,
  profile: string | null = null,
): Promise<InferenceSession> {
  return InferenceSession.create(artifact, {
    executionProviders: providers.map(optionsOf),
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Fatal alone: every error is thrown as well, to whom it concerns.
    logSeverityLevel: 4,
    ...(profile !== null && { enableProfiling: true, profileFilePrefix: profile }),
    extra: {
      session: {
        // Spinning threads take from the API process the cores it decodes on: 14.4 ms a run instead of 7.4 where they share.
        intra_op: { allow_spinning: '0' },
        // Else a graph given as bytes has its weights looked for in this process' working directory. The runtime follows
        // no path and no link out of the folder.
        model_external_initializers_file_folder_path: folder,
      },
    },
  });
}

/**
 * Of CUDA's and TensorRT's options the Node binding hands on the device alone. The rest stay as the runtime has them: FP32
 * (though CUDA's convolutions round to TF32 unless `NVIDIA_TF32_OVERRIDE=0`), memory taken as it is needed, and TensorRT's
 * engines built anew by each process.
 */
function optionsOf(provider: Provider): InferenceSession.ExecutionProviderConfig {
  switch (provider) {
    case 'cpu':
      return 'cpu';
    case 'webgpu':
      // Else an index beyond a tensor reads what lies behind it in the GPU's memory: another tenant's picture. The CPU
      // refuses such an index; here it is held within the tensor, at no cost that could be measured.
      return { name: 'webgpu', enableRobustness: true };
    default:
      return { name: provider, deviceId: 0 }; // the one that CUDA shows this process
  }
}
