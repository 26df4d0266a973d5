import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import {
  clientOf,
  installation,
  installed,
  kill,
  patience,
  pidOf,
  processesOf,
  ready,
} from './installation.ts';
import { expectBookedIsAnswered, heldRequests, startLoad } from './load.ts';

const withinTenSeconds = 10_000;

describe('SIGTERM under load', () => {
  it('answers what is in flight, books what it answers, and leaves neither hold nor process', async () => {
    const place = await installed();
    const server = await place.start();
    const load = startLoad(clientOf(server));
    await load.answered(200);

    const asked = performance.now();
    kill(server.child.pid!, 'SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(performance.now() - asked).toBeLessThan(withinTenSeconds);
    expect(processesOf(place.dataDir)).toEqual([]);
    await load.ended();
    expect(load.refused).toEqual([]);

    const next = await place.start();
    const database = place.superuser();
    expect(await heldRequests(database)).toBe(0);
    await expectBookedIsAnswered(load, clientOf({ ...next, key: server.key }), database);
  });
});

/** A request that the server cannot finish before the rest of its body comes. */
async function halfARequest(url: string, key: string) {
  const body = JSON.stringify({ query: '{ viewer { principal } }' });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {}); // A server that ends at once breaks it.
  socket.write(
    `POST /graphql HTTP/1.1\r\nHost: fovea\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await vi.waitUntil(() => answer.includes('100 Continue'), patience); // The server has the first half.
  return {
    finish: () => socket.write(body),
    answered: () => vi.waitUntil(() => / 200 OK/.test(answer), patience),
  };
}

describe('a second signal', () => {
  it('counts for nothing right after the first: under npm, Ctrl-C comes twice', async () => {
    const place = await installed();
    const server = await place.start();
    const { finish, answered } = await halfARequest(server.url, server.key!);
    kill(server.child.pid!, 'SIGINT');
    kill(server.child.pid!, 'SIGINT');
    await vi.waitUntil(
      () => server.output().stderr.includes('stopping: finishing what is in flight'),
      patience,
    );
    kill(server.child.pid!, 'SIGINT');
    finish();
    await answered();
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(processesOf(place.dataDir)).toEqual([]);
  });

  it('ends it at once when it comes later, and every child with it', async () => {
    const place = await installed();
    const server = await place.start();
    await halfARequest(server.url, server.key!);
    kill(server.child.pid!, 'SIGTERM');
    await sleep(700);
    expect(processesOf(place.dataDir)).toHaveLength(3);
    kill(server.child.pid!, 'SIGTERM');
    expect(await server.ended).toMatchObject({ code: 130 });
    await vi.waitUntil(() => processesOf(place.dataDir).length === 0, { timeout: 1_000, interval: 10 });
    await place.start();
  });
});

describe('a signal while it starts', () => {
  const moments = {
    'while its database is set up': ({ dataDir }: { dataDir: string }) =>
      existsSync(join(dataDir, 'postgres.json')),
    'while its database starts': ({ dataDir }: { dataDir: string }) =>
      existsSync(join(dataDir, 'postgres/postmaster.pid')),
    'while its worker starts': ({ dataDir }: { dataDir: string }) =>
      processesOf(dataDir).some(({ command }) => command.includes('\0worker\0')),
  };
  it.each(Object.entries(moments))('ends it in order %s', async (_, come) => {
    const place = installation();
    const server = place.run('start');
    await vi.waitUntil(() => come(place), { ...patience, interval: 1 });
    kill(server.child.pid!, 'SIGTERM');
    const { code, stderr, stdout } = await server.ended;
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '' });
    await vi.waitUntil(() => processesOf(place.dataDir).length === 0, patience);
    const next = await place.start();
    expect(next.key).not.toBeNull();
  });
});

describe('npm start', () => {
  it('ends in order on Ctrl-C', async () => {
    const place = await installed();
    const npm = place.npmStart();
    await ready(npm);
    process.kill(-npm.child.pid!, 'SIGINT'); // A terminal signals the whole group.
    await npm.ended;
    await vi.waitUntil(() => processesOf(place.dataDir).length === 0, patience);
    expect(existsSync(join(place.dataDir, 'postgres/postmaster.pid'))).toBe(false);
  });

  // npm signals the shell that it started, and no shell passes a signal on: it has to become the server.
  it('ends everything when npm alone is asked to end', async () => {
    const place = await installed();
    const npm = place.npmStart();
    await ready(npm);
    const server = pidOf('server', place);
    expect(server).not.toBe(npm.child.pid);
    kill(npm.child.pid!, 'SIGTERM');
    await npm.ended;
    await vi.waitUntil(() => processesOf(place.dataDir).length === 0, patience);
    expect(existsSync(join(place.dataDir, 'postgres/postmaster.pid'))).toBe(false);
  });
});
