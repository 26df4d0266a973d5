import { elementCount, type Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import type { QueuedImage } from './batch.ts';

/** Kept for the next batches: as many as few workers need, and none so large that it would weigh while nothing runs. */
const MOST_KEPT = 4;
const LARGEST_KEPT_BYTES = 16 * 2 ** 20;

/**
 * Memory for batches, used again. Fresh memory for each would be tens of megabytes a second outside of V8's heap, and it is
 * by such memory that V8 decides to look through all of the heap.
 */
export class BatchBuffers {
  #kept: ArrayBuffer[] = [];

  /** The images' pixels one after the other, as their variant takes them; those of a single one where they lie. */
  tensor(variant: Variant, images: readonly QueuedImage[]): Tensor {
    const { tensor: name, width, height } = variant.input;
    const shape = [images.length, height, width, 3];
    const [first] = images;
    if (images.length === 1) return { name, datatype: 'UINT8', shape, data: first!.pixels };
    const size = elementCount(shape.slice(1));
    // Of one size for all batches of a variant, so that the next finds it, unless it would not be kept.
    const full = size * Math.max(variant.maxBatch, images.length);
    const used = size * images.length;
    const data = new Uint8Array(this.#take(full <= LARGEST_KEPT_BYTES ? full : used), 0, used);
    images.forEach(({ pixels }, position) => {
      data.set(pixels, position * size);
    });
    return { name, datatype: 'UINT8', shape, data };
  }

  /** What `tensor` answered is read by nobody any more. */
  giveBack({ shape, data }: Tensor): void {
    if (shape[0] === 1 || data.buffer.byteLength > LARGEST_KEPT_BYTES) return;
    this.#kept.push(data.buffer as ArrayBuffer);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  #take(bytes: number): ArrayBuffer {
    const index = this.#kept.findIndex(({ byteLength }) => byteLength === bytes);
    return index === -1 ? new ArrayBuffer(bytes) : this.#kept.splice(index, 1)[0]!;
  }
}
