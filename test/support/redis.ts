import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { findProgram } from './find-program.ts';
import { keepablePort } from './keepable-port.ts';

/** Where a Redis server is, or null: what needs one is skipped and says so in its name. */
export const redisServer = findProgram(['redis-server', 'valkey-server']);
export const needsRedis = 'needs a redis-server, as Debian has it';

/** A real Redis on a port of its own, which keeps nothing over a restart. */
export class TestRedis {
  readonly url: string;
  readonly #port: number;
  #process: ChildProcess | null = null;

  private constructor(port: number) {
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  static async start(): Promise<TestRedis> {
    const redis = new TestRedis(await keepablePort());
    await redis.restart();
    return redis;
  }

  /** Starts it on the same port, after `kill`. */
  async restart(): Promise<void> {
    const where = ['--port', String(this.#port), '--bind', '127.0.0.1'];
    const child = spawn(redisServer!, [...where, '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
    this.#process = child;
    process.once('exit', () => child.kill('SIGKILL'));
    while (!(await this.#answers())) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      await delay(20);
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** It keeps its connections, and answers nothing, until `resume`. */
  pause(): void {
    this.#process!.kill('SIGSTOP');
  }

  resume(): void {
    this.#process!.kill('SIGCONT');
  }

  async #answers(): Promise<boolean> {
    const socket = createConnection(this.#port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }
}
