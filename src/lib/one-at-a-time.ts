/** A first-come, first-served line: `enter(work)` starts `work` when all that entered before has settled. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    // What failed concerns whoever waits for `turn`, not the next in line.
    last = turn.catch(() => undefined);
    return turn;
  };
}
