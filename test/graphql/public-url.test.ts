import { request } from 'node:http';
import { expect, it } from 'vitest';
import type { Services } from '../../src/graphql/context.ts';
import type { CreatedUpload } from '../../src/uploads/uploads.ts';
import { goodKey, startTransport } from './transport-server.ts';

const place: CreatedUpload = { id: 'id', secret: 'secret', expiresAt: new Date() };
const notHere = () => expect.unreachable();
const uploads: Services['uploads'] = { create: async () => place, present: notHere, receive: notHere };

/** What is answered to a request with such headers: the address to PUT to, or the error. */
async function addressFor(
  headers: Record<string, string>,
  options: Parameters<typeof startTransport>[0] = {},
): Promise<string> {
  const { url } = await startTransport(options, { uploads });
  const asked = request(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: goodKey, ...headers },
  });
  const query = 'mutation { createUpload(input: { contentType: "image/png", bytes: 1 }) { url } }';
  const answer = new Promise<string>((resolve, reject) => {
    asked.on('error', reject).on('response', async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve(text);
    });
  });
  asked.end(JSON.stringify({ query }));
  const { data, errors } = JSON.parse(await answer);
  return data?.createUpload.url ?? errors[0].message;
}

const path = '/uploads/id?secret=secret';
const proxied = { 'x-forwarded-host': 'vision.example.com', 'x-forwarded-proto': 'https' };

it('a client is sent where its request came to', async () => {
  expect(await addressFor({ host: 'fovea.test:8080' })).toBe(`http://fovea.test:8080${path}`);
  expect(await addressFor({ host: '[::1]:4000' })).toBe(`http://[::1]:4000${path}`);
});

it('and a proxy is believed where it is trusted, and nowhere else', async () => {
  expect(await addressFor({ host: 'inside', ...proxied })).toBe(`http://inside${path}`);
  expect(await addressFor({ host: 'inside', ...proxied }, { trustProxy: 1 })).toBe(
    `https://vision.example.com${path}`,
  );
});

it('and the setting is believed before all', async () => {
  const publicUrl = 'https://set.example.com/api';
  expect(await addressFor({ host: 'inside', ...proxied }, { trustProxy: 1, publicUrl })).toBe(
    `${publicUrl}${path}`,
  );
});

it('and what is no host is put into no address', async () => {
  for (const host of ['a b', 'evil/path', 'user@evil', 'a:99999999', '"><script>'])
    expect(await addressFor({ host }), host).toMatch(/names no valid host/);
  const forged = { host: 'inside', 'x-forwarded-host': 'evil"/', 'x-forwarded-proto': 'javascript' };
  expect(await addressFor(forged, { trustProxy: 1 })).toMatch(/names no valid host/);
});
