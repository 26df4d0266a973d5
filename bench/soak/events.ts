import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { foveaStream } from '../load/fovea-requests.ts';
import type { Generator } from '../load/start-generator.ts';
import { command, type Started } from '../processes.ts';
import { open } from '../saturation.ts';
import type { Stage } from '../stage.ts';
import type { Tally } from './tally.ts';

const shapes = fileURLToPath(new URL('../../models/shapes/', import.meta.url));

/** A model whose version changes while it is asked: the built-in one under another name. */
export class ChangingModel {
  readonly name = 'changing';
  readonly #stage: Stage;
  #version = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  get version(): number {
    return this.#version;
  }

  /** Imports the next version beside the running service, which answers with it from then on. */
  async change(): Promise<void> {
    this.#version += 1;
    const folder = join(this.#stage.folder, `changing-${this.#version}`);
    mkdirSync(folder);
    for (const name of readdirSync(shapes))
      if (/\.(onnx|txt)$/.test(name)) copyFileSync(join(shapes, name), join(folder, name));
    const manifest = JSON.parse(readFileSync(join(shapes, 'manifest.json'), 'utf8'));
    const path = join(folder, 'manifest.json');
    writeFileSync(path, JSON.stringify({ ...manifest, name: this.name, version: this.#version }));
    await command(this.#stage.environment, 'models', 'import', path, '--json');
  }
}

interface Scene {
  readonly stage: Stage;
  readonly api: Started;
  readonly changing: ChangingModel;
  /** Of those who join. */
  readonly generator: Generator;
  readonly bodies: readonly Uint8Array[];
  readonly tally: Tally;
}

/** In steps. */
const EVERY = { join: 3, kill: 4, change: 6 };

/** What happens to a service in its life: tenants join, workers die, models change. */
export class Events {
  readonly #scene: Scene;
  #steps = 0;
  #joined = 0;
  #killed = 0;
  #underWay: Promise<void> = Promise.resolve();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  get soFar(): { joined: number; killed: number; versions: number } {
    return { joined: this.#joined, killed: this.#killed, versions: this.#scene.changing.version };
  }

  /** Begins what is due, once what was begun before is done: an import takes as long as it takes. */
  step(seconds: number): void {
    this.#steps += 1;
    const step = this.#steps;
    this.#underWay = this.#underWay.then(() => this.#happen(step, seconds));
    // Whoever waits for the end learns of it.
    this.#underWay.catch(() => {});
  }

  done(): Promise<void> {
    return this.#underWay;
  }

  async #happen(step: number, seconds: number): Promise<void> {
    if (step % EVERY.kill === 0 && killWorker(this.#scene.api)) this.#killed += 1;
    if (step % EVERY.change === 0) await this.#scene.changing.change();
    if (step % EVERY.join === 0) await this.#join(seconds);
  }

  /** A tenant that joins and asks at once. */
  async #join(seconds: number): Promise<void> {
    const { stage, api, generator, bodies, tally } = this.#scene;
    this.#joined += 1;
    const name = `joined ${this.#joined}`;
    const keys = await stage.tenants([{ name }]);
    const joined = foveaStream(api.url, keys[name]!, bodies, open(5, this.#joined));
    tally.add(name, (await generator.run({ joined }, seconds)).samples.joined!);
  }
}

/** Kills one of a service's local workers, as an engine that crashes would. @returns whether one ran */
function killWorker({ child }: Started): boolean {
  const [worker] = workersOf(child.pid!);
  if (worker === undefined) return false;
  process.kill(worker, 'SIGKILL');
  return true;
}

/** Processes of `fovea worker` that `parent` started, the oldest first. */
function workersOf(parent: number): number[] {
  const list = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' });
  return list
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null && Number(match[2]) === parent && / worker /.test(match[3]!))
    .map((match) => Number(match![1]));
}
