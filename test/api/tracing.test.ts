import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import {
  type CollectedSpan,
  type OtlpCollector,
  sentTo,
  startCollector,
  treeOf,
} from '../support/otlp-collector.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

const lines: string[] = [];
let collector: OtlpCollector;
let server: TestServer;
beforeAll(async () => {
  collector = await startCollector();
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  server = await startServer(sentTo(collector), { logger });
});
afterAll(async () => {
  await server.close();
  await collector.close();
});

const image = { base64: examplePicture() };
let traces = 0;

/** A trace that a caller has begun, of its own: what goes in its headers, and what of it came to the collector. */
function beginTrace({ flags = '01', state = 'rojo=1' } = {}) {
  traces += 1;
  const traceId = String(traces).padStart(32, 'a');
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-${flags}`, tracestate: state };
  return {
    traceId,
    headers,
    /** Once the HTTP request's own is there, the last to end, and as many of the worker's. */
    async spans(workers = 1): Promise<CollectedSpan[]> {
      await collector.until(() => {
        const found = collector.spans(traceId);
        const isWhole = found.some(({ name }) => name === 'POST /graphql');
        return isWhole && found.filter(({ name }) => name === 'infer').length >= workers;
      });
      return collector.spans(traceId);
    },
  };
}

function only(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((span) => span.name === name);
  if (found.length !== 1) throw new Error(`one span «${name}» is wanted, found ${found.length}`);
  return found[0]!;
}

const oneClassify = {
  'POST /graphql': [
    'authenticate',
    'receive',
    {
      classify: [
        'reserve',
        'decode',
        'queue',
        { inference: ['infer (fovea-worker)'] },
        'postprocess',
        'commit',
      ],
    },
  ],
};

describe('a request that comes with a trace', () => {
  it('hangs its stages below it, and the worker process its own below the batch', async () => {
    const { client, id } = await server.createTenant();
    const trace = beginTrace();
    const { data, extensions } = await client.classify({ images: image }, trace);
    const spans = await trace.spans();
    expect(treeOf(spans)).toEqual([oneClassify]);

    const http = only(spans, 'POST /graphql');
    expect(http).toMatchObject({
      kind: 2,
      parentSpanId: '00f067aa0ba902b7',
      traceState: 'rojo=1',
      error: null,
    });
    expect(http.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/graphql',
      'http.response.status_code': 200,
      'fovea.tenant': id,
      'fovea.request_id': extensions.requestId,
    });
    expect(only(spans, 'classify').attributes).toEqual({
      'fovea.tenant': id,
      'fovea.images': 1,
      'fovea.model': 'shapes',
      'fovea.version': 1,
      'fovea.compression': 'NONE',
    });
    expect(only(spans, 'inference')).toMatchObject({
      kind: 3,
      links: [],
      attributes: { 'fovea.worker': 'local', 'fovea.batch_size': 1 },
    });
    const worker = only(spans, 'infer');
    expect(worker).toMatchObject({ kind: 2, service: 'fovea-worker', traceState: 'rojo=1' });
    expect(worker.attributes).toMatchObject({
      'fovea.batch_size': 1,
      'fovea.device': 'cpu',
      'fovea.compute_ms': data!.classify.receipt.timings.inferenceMs,
    });
    for (const span of spans.filter(({ service }) => service === 'fovea')) {
      const parent = spans.find(({ spanId }) => spanId === span.parentSpanId) ?? http;
      expect(span.start, span.name).toBeGreaterThanOrEqual(parent.start);
      expect(span.end, span.name).toBeLessThanOrEqual(parent.end);
    }
  });

  it('is found by the log line of the request', async () => {
    const { client } = await server.createTenant();
    const trace = beginTrace();
    await client.classify({ images: image }, trace);
    await trace.spans();
    const logged = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'graphql');
    expect(logged.filter(({ traceId }) => traceId === trace.traceId)).toHaveLength(1);
  });

  it('leaves no trace where its caller keeps none: not here, nor in the worker', async () => {
    const { client } = await server.createTenant();
    const unsampled = beginTrace({ flags: '00' });
    expect((await client.classify({ images: image }, unsampled)).errors).toEqual([]);
    // Whatever the first one left would be sent before what the second leaves.
    const sampled = beginTrace();
    await client.classify({ images: image }, sampled);
    await sampled.spans();
    expect(collector.spans(unsampled.traceId)).toEqual([]);
    expect(collector.spans().filter(({ name, parentSpanId }) => name === 'infer' && !parentSpanId)).toEqual(
      [],
    );
  });

  it.each([
    ['an unreadable parent', { traceparent: '00-zz-00f067aa0ba902b7-01' }],
    ['a parent of zeros', { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` }],
    [
      'two parents',
      { traceparent: `00-${'b'.repeat(32)}-00f067aa0ba902b7-01, 00-${'c'.repeat(32)}-00f067aa0ba902b7-01` },
    ],
    ['a state and no parent', { tracestate: 'rojo=1' }],
  ])('begins a trace of its own at %s', async (_, headers) => {
    const { client } = await server.createTenant();
    const { errors, extensions } = await client.classify({ images: image }, { headers });
    expect(errors).toEqual([]);
    const isOf = ({ attributes }: CollectedSpan) => attributes['fovea.request_id'] === extensions.requestId;
    const http = (await collector.until((spans) => spans.some(isOf))).find(isOf)!;
    expect(http.parentSpanId).toBeNull();
    await collector.until(() => collector.spans(http.traceId).some(({ name }) => name === 'infer'));
    expect(treeOf(collector.spans(http.traceId))).toEqual([oneClassify]);
  });

  it.each([
    ['no list at all', 'ÿþ=é;;,,,=,a'],
    [
      'a list of kilobytes',
      Array.from({ length: 500 }, (_, index) => `k${index}=${'v'.repeat(20)}`).join(','),
    ],
  ])('is answered and traced whatever its state is: %s', async (_, state) => {
    const { client } = await server.createTenant();
    const trace = beginTrace({ state });
    expect((await client.classify({ images: image }, trace)).errors).toEqual([]);
    expect(treeOf(await trace.spans())).toEqual([oneClassify]);
  });
});

describe('a batch of several requests', () => {
  it('is a span in each of their traces: the first has the worker below it, and they link to each other', async () => {
    const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { goOn } = await stopWorker(server);
    const before = first.client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const traces = [beginTrace(), beginTrace({ flags: '00' }), beginTrace()] as const;
    const answers = [
      first.client.classify({ images: [image, image] }, traces[0]),
      second.client.classify({ images: image }, traces[1]),
      second.client.classify({ images: image }, traces[2]),
    ];
    await untilImages(server, { running: 1, queued: 4 });
    goOn();
    await Promise.all([before, ...answers]);

    const kept = [traces[0].traceId, traces[2].traceId];
    const has = (traceId: string, name: string) =>
      collector.spans(traceId).some((span) => span.name === name);
    await collector.until(
      () => kept.every((id) => has(id, 'POST /graphql')) && kept.some((id) => has(id, 'infer')),
    );
    const [ofFirst, ofSecond] = [collector.spans(traces[0].traceId), collector.spans(traces[2].traceId)];
    const batches = [only(ofFirst, 'inference'), only(ofSecond, 'inference')];
    const leading = [...ofFirst, ...ofSecond].find(({ name }) => name === 'infer')!.parentSpanId;
    const [lead, other] = batches[0]!.spanId === leading ? batches : batches.reverse();
    expect(lead!.attributes).toMatchObject({ 'fovea.batch_size': 4 });
    expect(other!.attributes).toMatchObject({ 'fovea.batch_size': 4 });
    const waits = (lead!.traceId === traces[0].traceId ? ofSecond : ofFirst).filter(
      ({ name }) => name === 'queue',
    );
    expect(lead!.links.toSorted()).toEqual(waits.map(({ spanId }) => spanId).toSorted());
    expect(other!.links).toEqual([lead!.spanId]);
    expect(ofFirst.filter(({ name }) => name === 'queue')).toHaveLength(2);
    expect(collector.spans(traces[1].traceId)).toEqual([]);
  });
});

describe('what fails', () => {
  it('is told by its code of the contract, on the stage and on the request', async () => {
    const { client } = await server.createTenant();
    const trace = beginTrace();
    await client.classify({ model: 'unheard-of', images: image }, trace);
    const spans = await trace.spans(0);
    expect(spans.map(({ name, error }) => [name, error]).toSorted()).toEqual([
      ['POST /graphql', 'NOT_FOUND'],
      ['authenticate', null],
      ['classify', 'NOT_FOUND'],
      ['receive', null],
    ]);
  });

  it('before anybody is known: 401', async () => {
    const { client } = await server.createTenant();
    const trace = beginTrace();
    await client.as('no credential').classify({ images: image }, trace);
    const spans = await trace.spans(0);
    expect(treeOf(spans)).toEqual([{ 'POST /graphql': ['authenticate'] }]);
    expect(spans.map(({ error }) => error)).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
    expect(only(spans, 'POST /graphql').attributes).toMatchObject({ 'http.response.status_code': 401 });
  });

  it('of one picture is told where it happened, and fails no request', async () => {
    const { client } = await server.createTenant();
    const trace = beginTrace();
    await client.classify({ images: [image, { base64: 'bm90IGEgcGljdHVyZQ==' }] }, trace);
    const failed = (await trace.spans()).filter(({ error }) => error !== null);
    expect(failed.map(({ name, error }) => [name, error])).toEqual([['decode', 'UNSUPPORTED_FORMAT']]);
  });

  it('in the queue ends the wait', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const before = client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const trace = beginTrace();
    await client.classify({ images: image, timeoutMs: 500 }, trace);
    goOn();
    await before;
    const failed = (await trace.spans(0)).filter(({ error }) => error !== null);
    expect(failed.map(({ name, error }) => [name, error]).toSorted()).toEqual([
      ['POST /graphql', 'DEADLINE_EXCEEDED'],
      ['classify', 'DEADLINE_EXCEEDED'],
      ['queue', 'DEADLINE_EXCEEDED'],
    ]);
  });

  it('with its worker shows the batch that was lost beside the one that answered', async () => {
    const { client } = await server.createTenant();
    const { pid, goOn } = await stopWorker(server);
    const trace = beginTrace();
    const answer = client.classify({ images: image }, trace);
    await untilImages(server, { running: 1, queued: 0 });
    process.kill(pid, 'SIGKILL');
    goOn();
    expect((await answer).errors).toEqual([]);
    const batches = (await trace.spans()).filter(({ name }) => name === 'inference');
    expect(batches.map(({ error }) => error).toSorted()).toEqual(['WorkerLostError', null]);
  });
});

it('an image that is answered from the cache shows the look-up, and no run', async () => {
  const caching = await startServer({ ...sentTo(collector), FOVEA_CACHE_BYTES: '1000000' });
  try {
    const { client } = await caching.createTenant();
    const traces = [beginTrace(), beginTrace()] as const;
    for (const trace of traces) expect((await client.classify({ images: image }, trace)).errors).toEqual([]);
    const stages = (spans: CollectedSpan[]) =>
      spans.map(({ name }) => name).filter((name) => name !== 'infer');
    const cached = ['authenticate', 'receive', 'reserve', 'decode', 'cache', 'commit', 'classify'];
    const first = stages(await traces[0].spans());
    expect(first.toSorted()).toEqual(
      [...cached, 'queue', 'inference', 'postprocess', 'POST /graphql'].toSorted(),
    );
    expect(stages(await traces[1].spans(0)).toSorted()).toEqual([...cached, 'POST /graphql'].toSorted());
  } finally {
    await caching.close();
  }
});

it('counts what became of the spans on /metrics', async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const counts = ['exported', 'dropped', 'failed'].map((outcome) =>
    Number(new RegExp(`^fovea_trace_spans_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text)?.[1]),
  );
  expect(counts).toEqual([expect.any(Number), 0, 0]);
  expect(counts[0]).toBeGreaterThan(0);
});

it('tells no picture, no address of one, and no credential', async () => {
  const { client, key, password, email } = await server.createTenant();
  const trace = beginTrace();
  const url = 'http://127.0.0.1:9/hidden-picture.jpg?signature=hidden';
  await client.classify({ images: [image, { url }], idempotencyKey: 'hidden-key' }, trace);
  await trace.spans();
  const secrets = [image.base64.slice(0, 40), 'hidden', key, key.slice(4, 12), password, email];
  expect(secrets.filter((secret) => collector.text.includes(secret))).toEqual([]);
});

it('is off with OTEL_SDK_DISABLED, whatever else is set', async () => {
  const silent = await startCollector();
  const other = await startServer({ ...sentTo(silent), OTEL_SDK_DISABLED: 'true' });
  try {
    const { client } = await other.createTenant();
    expect((await client.classify({ images: image }, beginTrace())).errors).toEqual([]);
    expect(await (await fetch(`${other.url}/metrics`)).text()).not.toContain('fovea_trace_spans');
  } finally {
    await other.close();
    await silent.close();
  }
  expect(silent.requests).toBe(0);
});
