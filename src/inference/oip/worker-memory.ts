import { WorkerFaultError } from './errors.ts';
import { isRecord } from './tensor-entries.ts';

/** What a `fovea worker` tells of its memory, bytes. */
export interface WorkerMemory {
  /** Of resident memory of the process. */
  readonly budgetBytes: number;
  readonly residentBytes: number;
  /** What models may take beside those that are there. */
  readonly freeBytes: number;
  /** It takes more than its budget with nothing left to unload: it leaks. */
  readonly isExceeded: boolean;
  /** What it holds, whoever loaded it. */
  readonly models: ReadonlyMap<string, number>;
}

/** Throws WorkerFaultError. */
export function parseMemory(value: unknown): WorkerMemory {
  if (!isRecord(value) || !Array.isArray(value.models)) throw fault();
  const models = value.models.map((entry: unknown): [string, number] => {
    if (!isRecord(entry) || typeof entry.name !== 'string') throw fault();
    return [entry.name, bytesOf(entry.bytes)];
  });
  return {
    budgetBytes: bytesOf(value.budget_bytes),
    residentBytes: bytesOf(value.resident_bytes),
    freeBytes: bytesOf(value.free_bytes),
    isExceeded: value.exceeded === true,
    models: new Map(models),
  };
}

/** What the answer to a load says was unloaded for it; a server of others says nothing, in whatever form. */
export function unloadedOf(body: Buffer): readonly string[] {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    const listed: unknown = isRecord(value) ? value.unloaded : undefined;
    return Array.isArray(listed) ? listed.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

function bytesOf(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw fault();
}

function fault(): WorkerFaultError {
  return new WorkerFaultError('protocol', 'the worker does not tell its memory as it should');
}
