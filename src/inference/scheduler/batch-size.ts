/** An image in a batch that may still grow costs so much more at most than in the largest one. */
const WORTHWHILE = 1.1;

/**
 * How many images a batch needs to be about as cheap for each of them as the largest is; more would only keep the others waiting.
 * On a processor, where a batch costs what its images cost, that is a few; on a GPU, where it costs what one does, nearly all.
 * `batchMs`: what a batch of so many costs, for each image no more the larger it is.
 */
export function sizeThatPays(batchMs: (images: number) => number, maxBatch: number): number {
  const bound = (WORTHWHILE * batchMs(maxBatch)) / maxBatch;
  let [tooSmall, enough] = [0, maxBatch];
  while (enough - tooSmall > 1) {
    const middle = Math.floor((tooSmall + enough) / 2);
    if (batchMs(middle) / middle <= bound) enough = middle;
    else tooSmall = middle;
  }
  return enough;
}
