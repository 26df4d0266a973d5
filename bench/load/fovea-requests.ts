import { request } from 'undici';
import type { Task } from '../../src/inference/variant.ts';
import type { BenchModel } from '../models.ts';
import type { Arrivals, Stream } from './stream.ts';

const answers: Readonly<Record<Task, string>> = {
  CLASSIFY: '... on Classification { labels { label score } }',
  DETECT: '... on Detection { objects { label score box { x y width height } } }',
  SEGMENT: '... on Segmentation { segments { label areaFraction } }',
};

const RECEIPT =
  'receipt { requestId units batchSize cachedImages timings { totalMs decodeMs queueMs inferenceMs postprocessMs } }';

/** A picture as a request names it. */
export type Picture = { readonly base64: string } | { readonly uploadId: string };

export interface AskOptions {
  readonly timeoutMs?: number;
  readonly idempotencyKey?: string;
}

/** `version` null: whichever is live. */
export interface Asked extends Pick<BenchModel, 'task' | 'name'> {
  readonly version: number | null;
}

/** A GraphQL request, as bytes of JSON. */
export function askAbout(
  { task, name, version }: Asked,
  images: Picture | readonly Picture[],
  options: AskOptions = {},
): Buffer {
  const field = task.toLowerCase();
  const input = `${field[0]!.toUpperCase()}${field.slice(1)}Input!`;
  const query = `mutation($input: ${input}) { ${field}(input: $input) { results { __typename ${answers[task]} ... on ImageError { code } } ${RECEIPT} } }`;
  const model = version === null ? name : `${name}@${version}`;
  return Buffer.from(JSON.stringify({ query, variables: { input: { model, images, ...options } } }));
}

/** Each picture in a request of its own, in base64. */
export function requestsAbout(
  model: Asked,
  pictures: readonly Uint8Array[],
  options: AskOptions = {},
): Buffer[] {
  return pictures.map((picture) =>
    askAbout(model, { base64: Buffer.from(picture).toString('base64') }, options),
  );
}

/** Clients of Fovea: what they ask, as whom, and how they come. */
export function foveaStream(
  url: string,
  keys: string | readonly string[],
  bodies: readonly Uint8Array[],
  arrivals: Arrivals,
): Stream {
  return { url, path: '/graphql', reading: 'fovea', keys: [keys].flat(), bodies, arrivals };
}

/** The same clients, with as many bytes and a query that infers nothing: what transport, parsing and authentication take. */
export function idleStream(stream: Stream): Stream {
  const bodies = stream.bodies.map(({ byteLength }) =>
    Buffer.from(JSON.stringify({ query: '{ __typename }', extensions: { padding: 'a'.repeat(byteLength) } })),
  );
  return { ...stream, reading: 'plain', bodies };
}

/** Brings pictures to the service beforehand, as `key`'s tenant. @returns their ids, in order */
export async function upload(
  url: string,
  key: string,
  pictures: readonly Uint8Array[],
): Promise<{ uploadId: string }[]> {
  const ids: { uploadId: string }[] = [];
  for (const picture of pictures) {
    const query = 'mutation($input: CreateUploadInput!) { createUpload(input: $input) { id url } }';
    const input = { contentType: 'image/jpeg', bytes: picture.byteLength };
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const body = JSON.stringify({ query, variables: { input } });
    const created = await request(`${url}/graphql`, { method: 'POST', headers, body });
    const { data, errors } = (await created.body.json()) as {
      data: { createUpload: { id: string; url: string } } | null;
      errors?: unknown;
    };
    if (!data) throw new Error(`no upload was created: ${JSON.stringify(errors)}`);
    const put = await request(data.createUpload.url, {
      method: 'PUT',
      headers: { 'content-type': 'image/jpeg' },
      body: picture,
    });
    if (put.statusCode >= 300)
      throw new Error(`an upload was answered ${put.statusCode}: ${await put.body.text()}`);
    const stored = (await put.body.json()) as { id: string };
    ids.push({ uploadId: stored.id });
  }
  return ids;
}
