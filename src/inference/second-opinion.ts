import { ImageError } from './images/image-error.ts';
import type { ImageOutput } from './scheduler/batch.ts';

/**
 * Reads an answer. One that cannot be read is the model's doing or its worker's: where another worker is ready the image is run
 * there as well, and what can be read of the second was the first one's fault. So no model, nor picture, brings a worker into
 * disrepute that answers as every other would.
 *
 * @returns what was read, and of which answer
 * @throws ImageError where no worker's answer can be read, or what `Dispatcher.run` throws
 */
export async function readOrAskAnother<T>(
  first: ImageOutput,
  read: (output: ImageOutput) => Promise<T>,
): Promise<{ readonly output: ImageOutput; readonly reading: T }> {
  try {
    const reading = await read(first);
    first.judged(null);
    return { output: first, reading };
  } catch (error) {
    const elsewhere = error instanceof ImageError ? first.elsewhere() : null;
    if (elsewhere === null) throw error;
    const output = await elsewhere;
    const reading = await read(output);
    first.judged((error as ImageError).message);
    output.judged(null);
    return { output, reading };
  }
}
