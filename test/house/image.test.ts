import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readDockerfile, readImage } from './dockerfile.ts';

const root = resolve(import.meta.dirname, '../..');
const image = readImage(join(root, 'Dockerfile'));

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
  expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toContain(` ${image.user}\nUSER ${image.user}\n`);

  const main = image.entrypoint.at(-1)!;
  expect(existsSync(join(root, main))).toBe(true);
  expect(image.copied.some(({ to }) => main.startsWith(`${to}/`))).toBe(true);
});

test('every stage starts from an image of a stated major version', () => {
  const bases = readDockerfile(join(root, 'Dockerfile')).filter(({ name }) => name === 'FROM');
  expect(bases.length).toBeGreaterThan(0);
  for (const { value } of bases) expect(value).toMatch(/^[a-z/]+:\d+(-[\w.-]+)?( AS \w+)?$/);
});
