import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Instruction {
  /** `FROM`, `COPY`, … */
  readonly name: string;
  readonly value: string;
}

/** Reads a Dockerfile as far as ours go: one instruction a line, exec forms in JSON. Refuses a line it cannot read. */
export function readDockerfile(path: string): readonly Instruction[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([A-Z]+) (.*[^\\])$/.exec(line);
      if (!match) throw new Error(`${path}: cannot read ${JSON.stringify(line)}`);
      return { name: match[1]!, value: match[2]! };
    });
}

/** What the last stage is left with. */
export function readImage(path: string): {
  readonly user: string | undefined;
  readonly entrypoint: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** From the build context, for any stage. */
  readonly copied: readonly { from: string; to: string }[];
} {
  const instructions = readDockerfile(path);
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const values = (name: string) => last.filter((line) => line.name === name).map(({ value }) => value);
  return {
    user: values('USER').at(-1),
    entrypoint: JSON.parse(values('ENTRYPOINT').at(-1) ?? '[]'),
    environment: Object.fromEntries(
      values('ENV')
        .flatMap((line) => line.split(' '))
        .map((pair) => pair.split(/=(.*)/s, 2) as [string, string]),
    ),
    copied: instructions
      .filter(({ name, value }) => name === 'COPY' && !value.startsWith('--from='))
      .flatMap(({ value }) => {
        const words = value.split(' ');
        const to = words.pop()!;
        return words.map((from) => ({ from, to: to.endsWith('/') ? join(to, from) : to }));
      }),
  };
}
