/** The pixels, RGB from the top, of a BMP with 24 bits a pixel and no compression: what the shared data's photographs are. */
export function readBitmap(file: Buffer): { pixels: Buffer; width: number; height: number } {
  const [pixelsAt, width, height] = [file.readUInt32LE(10), file.readInt32LE(18), file.readInt32LE(22)];
  const [bits, compression] = [file.readUInt16LE(28), file.readUInt32LE(30)];
  if (file.toString('latin1', 0, 2) !== 'BM' || bits !== 24 || compression !== 0 || height < 0) {
    throw new Error(
      `expected a plain BMP of 24 bits from the bottom up, found ${bits} bits, compression ${compression}`,
    );
  }
  const stride = Math.ceil((width * 3) / 4) * 4;
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = pixelsAt + (height - 1 - y) * stride + x * 3;
      const to = (y * width + x) * 3;
      for (const channel of [0, 1, 2]) pixels[to + channel] = file[from + 2 - channel]!;
    }
  }
  return { pixels, width, height };
}

/** The colour table's index of every pixel, from the top, of a BMP with 8 bits a pixel: what the shared data's masks are. */
export function readIndices(file: Buffer): { indices: Uint8Array; width: number; height: number } {
  const [pixelsAt, width, height] = [file.readUInt32LE(10), file.readInt32LE(18), file.readInt32LE(22)];
  const [bits, compression] = [file.readUInt16LE(28), file.readUInt32LE(30)];
  if (file.toString('latin1', 0, 2) !== 'BM' || bits !== 8 || compression !== 0 || height < 0) {
    throw new Error(
      `expected a plain BMP of 8 bits from the bottom up, found ${bits} bits, compression ${compression}`,
    );
  }
  const stride = Math.ceil(width / 4) * 4;
  const rows = Array.from({ length: height }, (_, y) => {
    const from = pixelsAt + (height - 1 - y) * stride;
    return file.subarray(from, from + width);
  });
  return { indices: Buffer.concat(rows), width, height };
}
