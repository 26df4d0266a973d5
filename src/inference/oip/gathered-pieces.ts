/** From here on a piece is kept as it came: the Buffer around it weighs little beside it. */
const KEPT_FROM_BYTES = 32 * 2 ** 10;
const BLOCK_BYTES = 2 * KEPT_FROM_BYTES;

/**
 * The pieces of a body, in the order in which they came. Small ones are copied together: each kept by itself, a body in chunks
 * of one byte would take some hundred times its length.
 */
export class GatheredPieces {
  readonly #kept: Uint8Array[] = [];
  /** What is left of the block that small pieces go into, the first `#filled` bytes of it taken. */
  #block: Uint8Array = new Uint8Array();
  #filled = 0;

  add(piece: Uint8Array): void {
    // Most bodies come in one piece.
    if (piece.byteLength >= KEPT_FROM_BYTES || (this.#kept.length === 0 && this.#filled === 0)) {
      this.#keepFilled();
      this.#kept.push(piece);
      return;
    }
    if (this.#block.byteLength - this.#filled < piece.byteLength) {
      this.#keepFilled();
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    }
    this.#block.set(piece, this.#filled);
    this.#filled += piece.byteLength;
  }

  get all(): readonly Uint8Array[] {
    this.#keepFilled();
    return this.#kept;
  }

  #keepFilled(): void {
    if (this.#filled === 0) return;
    this.#kept.push(this.#block.subarray(0, this.#filled));
    this.#block = this.#block.subarray(this.#filled);
    this.#filled = 0;
  }
}
