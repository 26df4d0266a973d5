import { execFileSync } from 'node:child_process';
import type { RequestListener } from 'node:http';
import { resolve } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLogger } from '../../../src/lib/logger.ts';
import { noSpan, type Span, traced } from '../../../src/lib/tracing/span.ts';
import { openTracer, type SamplerName, type TracingSettings } from '../../../src/lib/tracing/tracer.ts';
import { startCollector, treeOf } from '../../support/otlp-collector.ts';

/** A tracer that sends its spans to a collector of its own. */
async function start(settings: Partial<TracingSettings> = {}, answer?: RequestListener) {
  const collector = await startCollector(answer);
  onTestFinished(() => collector.close());
  const lines: string[] = [];
  const tracer = await openTracer(
    {
      url: `${collector.url}/v1/traces`,
      protocol: 'http/json',
      serviceName: null,
      sampler: 'parentbased_always_on',
      ratio: 1,
      batch: { delayMs: 10, most: 512, queue: 2_048 },
      ...settings,
    },
    { service: 'test', logger: createLogger('warn', { write: (line) => lines.push(line) }) },
  );
  const serve = (headers = {}) => tracer.serve('request', headers);
  return { collector, tracer, serve, logged: () => lines.map((line) => JSON.parse(line)) };
}

const sampled = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
const unsampled = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` };

describe('a span', () => {
  it('ends once, with what its work came to', async () => {
    const { collector, tracer, serve } = await start();
    const request = serve();
    expect(await traced(request, 'good', {}, async () => 7)).toBe(7);
    const bad = traced(request, 'bad', {}, async () => {
      throw new TypeError('its message stays here');
    });
    await expect(bad).rejects.toThrow('its message stays here');
    request.end('FIRST');
    request.end('SECOND');
    request.set({ late: true });
    await tracer.close();
    expect(treeOf(collector.spans())).toEqual([{ 'request (test)': ['good (test)', 'bad (test)'] }]);
    expect(collector.spans().map(({ error }) => error)).toEqual([null, 'TypeError', 'FIRST']);
    expect(collector.text).not.toContain('its message');
  });

  it('takes of a long text its beginning', async () => {
    const { collector, tracer } = await start();
    tracer.serve('request', {}, { text: 'x'.repeat(10_000) }).end();
    await tracer.close();
    expect(collector.spans()[0]!.attributes.text).toBe('x'.repeat(256));
  });

  it('names itself to whoever is asked below it', async () => {
    const { serve } = await start();
    const request = serve({ ...sampled, tracestate: 'rojo=1,congo=2' });
    expect(request.headers).toEqual({
      traceparent: expect.stringMatching(/^00-a{32}-[0-9a-f]{16}-01$/),
      tracestate: 'rojo=1,congo=2',
    });
    expect(request.child('stage').headers.traceparent).not.toBe(request.headers.traceparent);
    expect(serve(unsampled).child('stage').headers.traceparent).toMatch(/^00-a{32}-[0-9a-f]{16}-00$/);
  });
});

describe('which traces are kept', () => {
  const parents = { none: {}, sampled, unsampled };
  it.each<[SamplerName, number, (keyof typeof parents)[]]>([
    ['always_on', 0, ['none', 'sampled', 'unsampled']],
    ['always_off', 1, []],
    ['traceidratio', 0, []],
    ['traceidratio', 1, ['none', 'sampled', 'unsampled']],
    ['parentbased_always_on', 0, ['none', 'sampled']],
    ['parentbased_always_off', 1, ['sampled']],
    ['parentbased_traceidratio', 0, ['sampled']],
    ['parentbased_traceidratio', 1, ['none', 'sampled']],
  ])('%s of %d: those below %j', async (sampler, ratio, kept) => {
    const { serve } = await start({ sampler, ratio });
    const recorded = Object.entries(parents).filter(([, headers]) => serve(headers).isRecorded);
    expect(recorded.map(([name]) => name)).toEqual(kept);
  });
});

it('speaks protobuf unless told otherwise', async () => {
  const types: unknown[] = [];
  const { tracer, serve } = await start({ protocol: 'http/protobuf' }, (request, response) => {
    types.push(request.headers['content-type']);
    response.end();
  });
  serve().end();
  await tracer.close();
  expect(types).toEqual(['application/x-protobuf']);
  expect(tracer.counts()).toEqual({ exported: 1, dropped: 0, failed: 0 });
});

/** Ends so many spans, and answers what became of them. */
const endSpans = (count: number, serve: () => Span) => {
  for (let index = 0; index < count; index += 1) serve().end();
};

describe('a collector', () => {
  it.each<[string, RequestListener, string]>([
    ['refuses', (_, response) => response.writeHead(400, 'No spans today').end(), 'No spans today'],
    [
      'redirects',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
      'Found',
    ],
    [
      'answers without end',
      (_, response) => {
        const more = (gone?: Error | null) => gone || response.write(Buffer.alloc(2 ** 20), more);
        more();
      },
      'exceeded size limit',
    ],
    ['breaks off', (_, response) => void response.socket!.destroy(), 'socket hang up'],
  ])('that %s costs its spans, which are counted and told of once', async (_, answer, reason) => {
    // What may be over soon is tried again until this has passed.
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '500');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { tracer, serve, logged } = await start({}, answer);
    endSpans(3, serve);
    await vi.waitUntil(() => tracer.counts()!.failed === 3);
    endSpans(2, serve);
    await vi.waitUntil(() => tracer.counts()!.failed === 5);
    expect(tracer.counts()).toEqual({ exported: 0, dropped: 0, failed: 5 });
    expect(logged()).toEqual([expect.objectContaining({ reason: expect.stringContaining(reason) })]);
  });

  it('that answers nothing costs no more than the queue holds', async () => {
    const { collector, tracer, serve, logged } = await start(
      { batch: { delayMs: 10, most: 4, queue: 10 } },
      () => {},
    );
    endSpans(4, serve);
    await vi.waitUntil(() => collector.requests === 1);
    endSpans(20, serve);
    expect(tracer.counts()).toEqual({ exported: 0, dropped: 14, failed: 0 });
    expect(logged()).toEqual([expect.objectContaining({ reason: 'too many wait for the collector' })]);
  });

  // Its exporter would wait for ten seconds, and try again.
  it('that answers nothing holds up no end', async () => {
    const { tracer, serve } = await start({}, () => {});
    endSpans(3, serve);
    await tracer.close();
  }, 8_000);

  it('is sent what waits, at the end', async () => {
    const { collector, tracer, serve } = await start({
      batch: { delayMs: 600_000, most: 512, queue: 2_048 },
    });
    endSpans(1_500, serve);
    await tracer.close();
    expect(collector.spans()).toHaveLength(1_500);
    expect(tracer.counts()).toEqual({ exported: 1_500, dropped: 0, failed: 0 });
  });
});

describe('without settings', () => {
  it('every span is the same one, which tells nothing', async () => {
    const tracer = await openTracer(null, { service: 'test', logger: createLogger('silent') });
    const span = tracer.serve('request', sampled);
    expect(span).toBe(noSpan);
    expect(span.child('stage')).toBe(noSpan);
    expect(span.headers).toEqual({});
    expect(await traced(span, 'stage', {}, async (below) => below)).toBe(noSpan);
    await tracer.close();
  });

  it("OpenTelemetry's SDK is not loaded", () => {
    const source = resolve(import.meta.dirname, '../../../src');
    const script = `
      const loaded = [];
      require('node:module').registerHooks({
        resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context); },
      });
      (async () => {
        await import('${source}/context.ts');
        const { openTracer } = await import('${source}/lib/tracing/tracer.ts');
        await openTracer(null, {});
        process.stdout.write(JSON.stringify(loaded));
        process.exit(0);
      })();`;
    const output = execFileSync(process.execPath, ['--no-warnings', '-e', script], { encoding: 'utf8' });
    const loaded: string[] = JSON.parse(output);
    expect(loaded.some((specifier) => specifier.endsWith('tracing/span.ts'))).toBe(true);
    const ofSdk = loaded.filter((specifier) => /opentelemetry\/(?!api)|otlp-tracer/.test(specifier));
    expect(ofSdk).toEqual([]);
  });
});
