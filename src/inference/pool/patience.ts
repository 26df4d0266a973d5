import type { VariantLoader } from './variant-loader.ts';

/** How long an answer is waited for. */
export interface Patience {
  /** Aborts with a TimeoutError when it is at an end. */
  readonly signal: AbortSignal;
  /** Once the answer is there: else it would keep the process from ending. */
  end(): void;
}

const never = { idleSince: Number.NEGATIVE_INFINITY };

/**
 * Ends `ms` after now, or after the last load of the worker: while it creates a session, for seconds where the model is
 * large, it answers nobody, and that says nothing of its health. Loads have a bound of their own: without a loader.
 */
export function patience(ms: number, loader: Pick<VariantLoader, 'idleSince'> = never): Patience {
  const controller = new AbortController();
  let timer: NodeJS.Timeout;
  const look = () => {
    const { idleSince } = loader;
    const left = idleSince === null ? ms : Math.ceil(idleSince + ms - performance.now());
    if (left > 0) timer = setTimeout(look, left);
    else controller.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError'));
  };
  timer = setTimeout(look, ms);
  return { signal: controller.signal, end: () => clearTimeout(timer) };
}
