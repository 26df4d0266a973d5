import type { Provider } from './provider.ts';

const driver = 'nvidia-smi  # the driver: it must list the GPU, and CUDA 12 or newer as what it supports';
/** From NVIDIA's own package source. */
const libraries = 'apt-get install cuda-libraries-12-9 libcudnn9-cuda-12';
const tensorrt = 'libnvinfer10 libnvinfer-plugin10 libnvonnxparsers10';
// The package's own install script, which .npmrc keeps npm from running; `npm ci` removes again what it brings.
const binding =
  'ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js  # after each npm ci';

/** Shell lines that install what a provider needs, for Debian or Ubuntu on x64. */
export const installLines: Readonly<Record<Provider, readonly string[]>> = {
  cpu: ['npm ci'],
  webgpu: [
    'apt-get install libvulkan1  # the Vulkan loader',
    "nvidia-smi  # NVIDIA's driver brings one for Vulkan; for AMD and Intel: apt-get install mesa-vulkan-drivers",
    'ls /usr/share/vulkan/icd.d /etc/vulkan/icd.d  # the drivers found; VK_DRIVER_FILES names one elsewhere',
  ],
  cuda: [driver, `${libraries}  # CUDA 12, cuDNN 9`, binding],
  tensorrt: [driver, `${libraries} ${tensorrt}  # CUDA 12, cuDNN 9, TensorRT 10`, binding],
};
