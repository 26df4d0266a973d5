/**
 * The engine alone, as one would write it by hand in one process: decode with sharp, run with ONNX Runtime, no service
 * around it. Called by `served-ratio` as a process of its own; prints images per second.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';

export interface BareLoopSettings {
  readonly graph: string;
  readonly pictures: string;
  readonly width: number;
  readonly height: number;
  /** Images a run of the session. */
  readonly batch: number;
  readonly decodesInFlight: number;
  /** Threads of the engine. */
  readonly threads: number;
  readonly seconds: number;
}

const settings = JSON.parse(process.argv[2]!) as BareLoopSettings;
sharp.concurrency(1);
sharp.cache(false);
const { width, height, batch, decodesInFlight } = settings;
const pictures = readdirSync(settings.pictures).map((name) => readFileSync(join(settings.pictures, name)));
const session = await InferenceSession.create(settings.graph, {
  intraOpNumThreads: settings.threads,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const input = session.inputNames[0]!;

const decoded: Uint8Array[] = [];
let inFlight = 0;
let next = 0;
let wake = () => {};

/** Keeps decodes in flight, and one batch more than the one that runs ready. */
function decodeAhead(): void {
  while (inFlight < decodesInFlight && decoded.length + inFlight < 2 * Math.max(batch, decodesInFlight)) {
    inFlight += 1;
    void sharp(pictures[next++ % pictures.length])
      .removeAlpha()
      .resize(width, height, { fit: 'fill', kernel: 'linear' })
      .raw()
      .toBuffer()
      .then((pixels) => {
        inFlight -= 1;
        decoded.push(pixels);
        decodeAhead();
        wake();
      });
  }
}

async function runBatch(): Promise<void> {
  decodeAhead();
  while (decoded.length < batch) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  const pixels = new Uint8Array(batch * width * height * 3);
  decoded.splice(0, batch).forEach((image, index) => {
    pixels.set(image, index * width * height * 3);
  });
  decodeAhead();
  await session.run({ [input]: new Tensor('uint8', pixels, [batch, height, width, 3]) });
}

for (let warmUp = 0; warmUp < 3; warmUp++) await runBatch();
const started = performance.now();
let images = 0;
while (performance.now() - started < settings.seconds * 1000) {
  await runBatch();
  images += batch;
}
process.stdout.write(`${(images / (performance.now() - started)) * 1000}\n`);
process.exit(0);
