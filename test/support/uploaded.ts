import { expect } from 'vitest';
import type { GraphqlAnswer, GraphqlClient } from './graphql-client.ts';
import { examplePicture } from './server.ts';

export interface UploadPlace {
  readonly id: string;
  readonly url: string;
  readonly expiresAt: string;
}

/** One of the pictures that come with the built-in classifier, a JPEG. */
export const picture = Buffer.from(examplePicture(), 'base64');

/** Asks for a place for `picture`, or for what `input` says instead. */
export function askForUpload(
  client: GraphqlClient,
  input: Record<string, unknown> = {},
): Promise<GraphqlAnswer<{ createUpload: UploadPlace }>> {
  return client.send(
    'mutation($input: CreateUploadInput!) { createUpload(input: $input) { id url expiresAt } }',
    { input: { contentType: 'image/jpeg', bytes: picture.byteLength, ...input } },
  );
}

export async function createUpload(
  client: GraphqlClient,
  input?: Record<string, unknown>,
): Promise<UploadPlace> {
  const { data, errors } = await askForUpload(client, input);
  expect(errors).toEqual([]);
  return data!.createUpload;
}

export interface PutAnswer {
  readonly status: number;
  readonly body: { readonly error?: string; readonly [field: string]: unknown };
}

export async function put(
  url: string,
  body: RequestInit['body'] = picture,
  headers: Record<string, string> = {},
): Promise<PutAnswer> {
  // A stream is sent in chunks, without a length.
  const response = await fetch(url, { method: 'PUT', headers, body: body ?? null, duplex: 'half' });
  return { status: response.status, body: (await response.json()) as PutAnswer['body'] };
}

/** Brings `picture` to the server, and answers the id that names it. */
export async function upload(client: GraphqlClient): Promise<string> {
  const { id, url } = await createUpload(client);
  expect(await put(url)).toMatchObject({ status: 201 });
  return id;
}
