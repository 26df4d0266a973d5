import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { installLines } from '../../src/inference/providers/install-lines.ts';
import { readDockerfile, readImage } from './dockerfile.ts';

const root = resolve(import.meta.dirname, '../..');

describe.each(['Dockerfile', 'Dockerfile.gpu'])('%s', (name) => {
  const file = join(root, name);
  const image = readImage(file);

  test('what the image copies is in the repository, and .dockerignore lets it through', () => {
    const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
    // Plain names, so that one comparison says what they leave out.
    for (const name of ignored) expect(name).toMatch(/^[\w.-]+$/);

    expect(image.copied.length).toBeGreaterThan(0);
    for (const { from } of image.copied) {
      const tracked = execFileSync('git', ['ls-files', '--', from], { cwd: root, encoding: 'utf8' });
      expect(tracked, `git knows nothing of ${from}`).not.toBe('');
      expect(ignored, `.dockerignore leaves out ${from}`).not.toContain(from.split('/')[0]);
    }
  });

  test('the image runs a file that it holds, not as root', () => {
    expect(image.user).toMatch(/^[a-z]+$/);
    expect(image.user).not.toBe('root');
    expect(readFileSync(file, 'utf8')).toContain(` ${image.user}\nUSER ${image.user}\n`);

    const main = image.entrypoint.at(-1)!;
    expect(existsSync(join(root, main))).toBe(true);
    expect(image.copied.some(({ to }) => main.startsWith(`${to}/`))).toBe(true);
  });

  test('every stage starts from an image of a stated major version', () => {
    const bases = readDockerfile(file).filter(({ name }) => name === 'FROM');
    expect(bases.length).toBeGreaterThan(0);
    for (const { value } of bases) expect(value).toMatch(/^[a-z/]+:\d+(\.\d+)*(-[\w.-]+)?( AS \w+)?$/);
  });

  test('each stage takes from another what that one has by then', () => {
    const stages = new Set<string>();
    for (const { name, value } of readDockerfile(file)) {
      const from = /^--from=(\w+) /.exec(value)?.[1];
      if (name === 'COPY' && from) expect([...stages]).toContain(from);
      const stage = name === 'FROM' ? / AS (\w+)$/.exec(value)?.[1] : undefined;
      if (stage) stages.add(stage);
    }
  });
});

describe('Dockerfile.gpu', () => {
  const gpu = readDockerfile(join(root, 'Dockerfile.gpu'));
  const { environment, entrypoint, copied } = readImage(join(root, 'Dockerfile.gpu'));
  const plain = readImage(join(root, 'Dockerfile'));

  test('holds and runs what the other image does, on CUDA', () => {
    expect(entrypoint).toEqual(plain.entrypoint);
    expect(environment).toEqual({ ...plain.environment, FOVEA_PROVIDERS: 'cuda' });
    for (const each of plain.copied) expect(copied).toContainEqual(each);
  });

  test('brings what a start without CUDA asks for', () => {
    const run = gpu.filter(({ name }) => name === 'RUN').map(({ value }) => value);
    const binding = installLines.cuda.at(-1)!.split('  #')[0]!;
    expect(run).toContain(binding);
    for (const library of installLines.tensorrt.join(' ').match(/lib(nvinfer|nvonnx)\S+/g)!)
      expect(run.join('\n')).toContain(`'${library}=`);
    expect(gpu.findLast(({ name }) => name === 'FROM')!.value).toMatch(/^nvidia\/cuda:12\..*cudnn-runtime/);
  });

  test('builds TensorFlow by a script that there is', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = gpu.flatMap(({ value }) => /npm run ([\w:]+)/.exec(value)?.[1] ?? []);
    expect(named).toEqual(['build:tensorflow']);
    for (const name of named) expect(scripts).toHaveProperty([name]);
  });
});
