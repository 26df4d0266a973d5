import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { onTestFinished } from 'vitest';

/** A host on 127.0.0.1 that takes connections and never says a word; closed after the test. */
export async function silentHost(): Promise<{
  url: string;
  connected: Promise<unknown>;
  left: Promise<void>;
}> {
  const left = Promise.withResolvers<void>();
  const host = createServer((socket) => {
    // A connection that is given up may break rather than end.
    socket.on('error', () => {});
    socket.on('close', () => left.resolve());
    socket.resume();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void host.close());
  const connected = once(host, 'connection');
  await once(host, 'listening');
  const { port } = host.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, connected, left: left.promise };
}
