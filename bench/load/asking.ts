import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Dispatcher, Pool } from 'undici';
import { poissonArrivals } from './arrivals.ts';
import { type Outcome, readAnswer, refused } from './read-answer.ts';
import { monotonicMs, type Sample, type Stream } from './stream.ts';

/** Connections of an open stream at most; what is due while all of them wait for an answer waits here, and that counts. */
const MOST_CONNECTIONS = 2_048;

/** Longer than any answer may take by the service's own limits. */
const ANSWER_WITHIN_MS = 150_000;

/** After a broken connection, so that a server that is away is not asked without a pause. */
const PAUSE_MS = 100;

/** Asks a stream until it is stopped. */
export class Asking {
  readonly #stream: Stream;
  readonly #headers: readonly Record<string, string>[];
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #end: () => void;
  readonly #connections: (Client | Pool)[] = [];
  #next = 0;
  #stopped = false;
  #samples: Sample[] = [];

  constructor(stream: Stream) {
    this.#stream = stream;
    const keys = stream.keys.length > 0 ? stream.keys : [null];
    this.#headers = keys.map((key) => ({
      'content-type': 'application/json',
      ...(key !== null && { authorization: `Bearer ${key}` }),
    }));
    this.#end =
      stream.arrivals.kind === 'closed' ? this.#closed(stream.arrivals) : this.#open(stream.arrivals);
  }

  /** What was answered since the last call. */
  take(): Sample[] {
    const samples = this.#samples;
    this.#samples = [];
    return samples;
  }

  /** Asks no more, and waits for the answers that are still due. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#end();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  #closed({ clients }: { readonly clients: number }): () => void {
    for (let index = 0; index < clients; index++) {
      const client = new Client(this.#stream.url, timeouts);
      this.#connections.push(client);
      const ask = async () => {
        while (!this.#stopped) {
          const outcome = await this.#ask(client, monotonicMs(), index);
          if (outcome === 'NO_CONNECTION') await sleep(PAUSE_MS);
        }
      };
      this.#track(ask());
    }
    return () => {};
  }

  #open(rate: { readonly perSecond: number; readonly seed: number }): () => void {
    const pool = new Pool(this.#stream.url, { connections: MOST_CONNECTIONS, ...timeouts });
    this.#connections.push(pool);
    return poissonArrivals(rate, (dueAt) => this.#track(this.#ask(pool, dueAt, this.#next)));
  }

  #track(work: Promise<unknown>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  async #ask(connection: Client | Pool, dueAt: number, sender: number): Promise<string> {
    const { bodies, path, reading, hangUpAfterMs } = this.#stream;
    const body = bodies[this.#next++ % bodies.length]!;
    const headers = this.#headers[sender % this.#headers.length]!;
    const sentAt = monotonicMs();
    const outcome = await new Promise<Outcome>((resolve) => {
      const options = { method: 'POST' as const, path, headers, body };
      connection.dispatch(options, new Answering(resolve, reading, hangUpAfterMs ?? null));
    });
    this.#samples.push({ ...outcome, dueAt, sentAt, doneAt: monotonicMs() });
    return outcome.outcome;
  }
}

const timeouts = { headersTimeout: ANSWER_WITHIN_MS, bodyTimeout: ANSWER_WITHIN_MS };

/** undici's lowest level: no stream is made for an answer, since its client runs on the cores that are measured. */
class Answering implements Dispatcher.DispatchHandler {
  readonly #resolve: (outcome: Outcome) => void;
  readonly #reading: Stream['reading'];
  readonly #hangUpAfterMs: number | null;
  readonly #chunks: Buffer[] = [];
  #status = 0;
  #timer: NodeJS.Timeout | undefined;
  #hungUp = false;

  constructor(resolve: (outcome: Outcome) => void, reading: Stream['reading'], hangUpAfterMs: number | null) {
    this.#resolve = resolve;
    this.#reading = reading;
    this.#hangUpAfterMs = hangUpAfterMs;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#hangUpAfterMs === null) return;
    this.#timer = setTimeout(() => {
      this.#hungUp = true;
      controller.abort(new Error('hung up'));
    }, this.#hangUpAfterMs);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    this.#resolve(readAnswer(this.#reading, this.#status, Buffer.concat(this.#chunks).toString()));
  }

  onResponseError(): void {
    clearTimeout(this.#timer);
    this.#resolve(refused(this.#hungUp ? 'HUNG_UP' : 'NO_CONNECTION'));
  }
}
