/**
 * Builds the native binding of TensorFlow.js against the TensorFlow of a Python wheel: `npm run build:tensorflow`. The
 * package's own install script would download TensorFlow 2.9 of 2022 instead, which knows no present GPU. Needs Linux, npm's
 * registry, python3 with pip, make and a C++ compiler; `npm ci` removes what it made.
 *
 *   --gpu                 @tensorflow/tfjs-node-gpu on the wheel with CUDA, in place of @tensorflow/tfjs-node
 *   --tensorflow <dir>    an installed wheel (…/site-packages/tensorflow), in place of one fetched into .tensorflow/
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What FOVEA's engine was tried with, and the binding builds against. */
const TENSORFLOW = '2.21.*';
const NODE_GYP = 'node-gyp@12';
/** The binding's Node-API version, by which the package looks for it. */
const NAPI = 8;

const root = resolve(import.meta.dirname, '..');
const { values: options } = parseArgs({
  options: { gpu: { type: 'boolean', default: false }, tensorflow: { type: 'string' } },
});
const run = (
  command: string,
  args: readonly string[],
  more: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) => execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...more });

if (process.platform !== 'linux') {
  process.stderr.write('build:tensorflow is for Linux; elsewhere run: npm install @tensorflow/tfjs-node\n');
  process.exit(2);
}
const name = options.gpu ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
const wheel = options.tensorflow ? resolve(options.tensorflow) : fetchWheel();
if (!existsSync(join(wheel, 'libtensorflow_cc.so.2'))) {
  process.stderr.write(
    `${wheel} holds no libtensorflow_cc.so.2: expected the folder of an installed wheel\n`,
  );
  process.exit(2);
}
const { version } = await import('@tensorflow/tfjs-core/package.json', { with: { type: 'json' } }).then(
  (module) => module.default,
);
// As an optional peer of this package npm would take it away again.
run('npm', [
  'install',
  '--no-save',
  '--save-prod',
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  `${name}@${version}`,
]);
build(join(root, 'node_modules', name));
run(process.execPath, [
  '--no-deprecation',
  '--eval',
  `const tf = require(${JSON.stringify(name)}); console.log('TensorFlow.js', tf.version.tfjs, 'on TensorFlow', tf.backend().binding.TF_Version)`,
]);

function fetchWheel(): string {
  const folder = join(root, '.tensorflow', options.gpu ? 'gpu' : 'cpu');
  const found = join(folder, 'tensorflow');
  if (existsSync(join(found, 'libtensorflow_cc.so.2'))) return found;
  rmSync(folder, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', '--target', folder];
  // With CUDA come NVIDIA's own wheels, which the library finds beside itself; without, nothing else is needed.
  const wanted = options.gpu
    ? [`tensorflow[and-cuda]==${TENSORFLOW}`]
    : ['--no-deps', `tensorflow-cpu==${TENSORFLOW}`];
  run('python3', [...pip, ...wanted]);
  return found;
}

function build(folder: string): void {
  const libraries = join(folder, 'deps/lib');
  rmSync(join(folder, 'deps'), { recursive: true, force: true });
  mkdirSync(libraries, { recursive: true });
  symlinkSync(join(wheel, 'include'), join(folder, 'deps/include'));
  // For the linker alone: when it runs, the binding looks for the libraries where they lie, beside what they need themselves.
  for (const [library, file] of [
    ['tensorflow', 'libtensorflow_cc.so.2'],
    ['tensorflow_framework', 'libtensorflow_framework.so.2'],
  ] as const)
    symlinkSync(join(wheel, file), join(libraries, `lib${library}.so`));
  const headers = dirname(dirname(process.execPath));
  run(
    'npm',
    [
      ...['exec', '--yes', NODE_GYP, '--', 'rebuild', '--loglevel=error'],
      // The pinned Node's package brings its headers along: none are downloaded.
      ...(readdirSync(headers).includes('include') ? [`--nodedir=${headers}`] : []),
      ...[`--napi_build_version=${NAPI}`, '--module_name=tfjs_binding'],
      `--module_path=${join(folder, `lib/napi-v${NAPI}`)}`,
    ],
    { cwd: folder, env: { ...process.env, LDFLAGS: `-Wl,-rpath,${wheel}` } },
  );
}
