/** How long an answer is waited for. */
export interface Patience {
  /** Aborts with a TimeoutError when it is at an end. */
  readonly signal: AbortSignal;
  /** Begins anew: for what takes long and goes on. */
  renew(): void;
  /** Once the answer is there: else it would keep the process from ending. */
  end(): void;
}

/** What a worker loads: `idleSince` is when its last load ended, on the clock of `performance`; null: one is under way. */
export interface Loading {
  readonly idleSince: number | null;
}

const never: Loading = { idleSince: Number.NEGATIVE_INFINITY };

/**
 * Ends `ms` after now, or after the last load of the worker: while it creates a session, for seconds where the model is
 * large, it runs nothing, and that says nothing of its health. Loads have a bound of their own: without `loading`.
 */
export function patience(ms: number, loading = never): Patience {
  const controller = new AbortController();
  let timer: NodeJS.Timeout;
  let renewedAt = Number.NEGATIVE_INFINITY;
  const look = () => {
    const { idleSince } = loading;
    const left = idleSince === null ? ms : Math.ceil(Math.max(idleSince, renewedAt) + ms - performance.now());
    if (left > 0) timer = setTimeout(look, left);
    else controller.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError'));
  };
  timer = setTimeout(look, ms);
  return {
    signal: controller.signal,
    renew: () => {
      renewedAt = performance.now();
    },
    end: () => clearTimeout(timer),
  };
}
