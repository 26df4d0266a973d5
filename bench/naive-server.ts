/**
 * A picture classifier as a team would write it by hand in an afternoon, for scale: one Node process, a picture as base64 in
 * JSON, sharp, ONNX Runtime, the five best labels. No tenants, no booking, no batches, no limits. `baselines.ts` starts it.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import type { BaselineSettings } from './baselines.ts';

const { graph, labels, width, height, isLogits, threads } = JSON.parse(process.argv[2]!) as BaselineSettings;
const names = readFileSync(labels, 'utf8').trimEnd().split('\n');
const session = await InferenceSession.create(graph, threads === null ? {} : { intraOpNumThreads: threads });
const input = session.inputNames[0]!;
const output = session.outputNames[0]!;

const server = createServer(async (request, response) => {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { image } = JSON.parse(Buffer.concat(chunks).toString()) as { image: string };
    const answer = JSON.stringify({ labels: await classify(Buffer.from(image, 'base64')) });
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

async function classify(picture: Buffer): Promise<{ label: string; score: number }[]> {
  const pixels = await sharp(picture).removeAlpha().resize(width, height, { fit: 'fill' }).raw().toBuffer();
  const answer = await session.run({ [input]: new Tensor('uint8', pixels, [1, height, width, 3]) });
  const scores = [...(answer[output]!.data as Float32Array)];
  return (isLogits ? softmax(scores) : scores)
    .map((score, index) => ({ label: names[index]!, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, 5);
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
