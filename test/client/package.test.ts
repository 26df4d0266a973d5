import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type TestServer } from '../support/server.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const python = await run('python3', ['--version']).then(
  () => true,
  () => false,
);

let server: TestServer;
let key: string;
let project: string;

beforeAll(async () => {
  server = await startServer();
  key = (await server.createTenant()).key;
  project = mkdtempSync(join(tmpdir(), 'fovea-project-'));
  const { stdout } = await run('npm', ['pack', join(root, 'client'), '--json'], { cwd: project });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'empty', type: 'module', private: true }),
  );
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: project });
  for (const model of ['shapes', 'shapes-detect']) {
    const examples = `models/${model}/examples`;
    cpSync(join(root, examples), join(project, examples), { recursive: true });
  }
});
afterAll(async () => {
  await server?.close();
  if (project) rmSync(project, { recursive: true, force: true });
});

/** The code of one language under a heading of the README, asking the test's server. */
function example(heading: string, language: string): string {
  const section = readme.split(/^## /m).find((each) => each.startsWith(`${heading}\n`));
  const code = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(section ?? '')?.[1];
  if (code === undefined) throw new Error(`README.md has no ${language} under «${heading}»`);
  expect(code).toContain('http://127.0.0.1:4000');
  return code.replaceAll('http://127.0.0.1:4000', server.url);
}

/** Runs a program in the project, with a key as the README says. */
async function output(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(program, args, { cwd: project, env: { ...process.env, FOVEA_API_KEY: key } });
  return stdout;
}

describe('in an empty project', () => {
  it('the client comes without anything else', () => {
    const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'));
    expect(Object.keys(lock.packages)).toEqual(['', 'node_modules/fovea']);
  });

  it('has the version of the server that it came with', () => {
    const versionIn = (path: string) => JSON.parse(readFileSync(path, 'utf8')).version;
    expect(versionIn(join(project, 'node_modules/fovea/package.json'))).toBe(
      versionIn(join(root, 'package.json')),
    );
  });

  it("the README's TypeScript passes the compiler and runs", async () => {
    writeFileSync(join(project, 'example.ts'), example('From TypeScript', 'ts'));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    await output(
      process.execPath,
      ...[
        compiler,
        '--noEmit',
        '--strict',
        '--module',
        'nodenext',
        '--target',
        'es2022',
        ...types,
        'example.ts',
      ],
    );
    const said = await output(process.execPath, '--disable-warning=ExperimentalWarning', 'example.ts');
    expect(said).toMatch(/^red circle 0\.99\d*$/m);
  });

  it.skipIf(!python)(`the README's Python runs${python ? '' : ' (no python3 here)'}`, async () => {
    writeFileSync(join(project, 'example.py'), example('From Python', 'python'));
    expect(await output('python3', 'example.py')).toMatch(/^red circle 0\.99\d*$/m);
  });

  it("the README's curl runs", async () => {
    const said = JSON.parse(
      await output('sh', '-c', example('A first call', 'sh').replace(/^export .*$/m, '')),
    );
    expect(said.data.classify.results[0].labels[0].label).toBe('red circle');
  });

  it("the README's boxes and masks are those of its picture", async () => {
    const { data } = JSON.parse(await output('sh', '-c', example('Boxes and masks', 'sh')));
    const labelsOf = (found: { label: string }[]) => found.map(({ label }) => label).sort();
    const [{ objects }] = data.detect.results;
    expect(labelsOf(objects)).toEqual(['blue ring', 'green cross', 'green square', 'yellow triangle']);
    const [{ segments }] = data.segment.results;
    expect(labelsOf(segments)).toEqual(['cross', 'ring', 'square', 'triangle']);
  });
});
