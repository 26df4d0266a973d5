import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../src/config/environment.ts';
import { tracingEnvironment } from '../../src/config/tracing.ts';

const tracingOf = (env: Record<string, string>) => readEnvironment(env).config.tracing;
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('tracing', () => {
  it('is on where a collector is named, with the defaults of OpenTelemetry', () => {
    expect(tracingOf(endpoint)).toEqual({
      url: 'http://collector:4318/v1/traces',
      protocol: 'http/protobuf',
      serviceName: null,
      sampler: 'parentbased_always_on',
      ratio: 1,
      batch: { delayMs: 5_000, most: 512, queue: 2_048 },
    });
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/' }, 'https://collector/otlp/v1/traces'],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:1/spans' }, 'http://other:1/spans'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:1' }, 'http://other:1'],
  ])('at %j it sends to %s', (env, url) => {
    expect(tracingOf(env)!.url).toBe(url);
  });

  it.each([
    {},
    { ...endpoint, OTEL_SDK_DISABLED: 'True' },
    { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
    { OTEL_SERVICE_NAME: 'fovea' },
  ])('is off at %j', (env) => {
    expect(tracingOf(env)).toBeNull();
  });

  it('prefers the variables of traces to those of all signals', () => {
    const env = {
      ...endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    };
    expect(tracingOf(env)).toMatchObject({
      protocol: 'http/json',
      sampler: env.OTEL_TRACES_SAMPLER,
      ratio: 0.25,
    });
  });

  it('tells of every fault, and shows no credential', () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:hidden@collector:4318',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_TRACES_SAMPLER: 'sometimes',
      OTEL_TRACES_SAMPLER_ARG: '2',
      OTEL_BSP_MAX_QUEUE_SIZE: '-1',
    };
    const read = () => readEnvironment(env);
    expect(read).toThrow(/PROTOCOL: found "grpc", wanted http\/protobuf or http\/json/);
    for (const name of Object.keys(env)) expect(read).toThrow(name);
    expect(read).not.toThrow('hidden');
  });

  it('is handed on to the workers of this machine, under a name of their own', () => {
    const { tracing, workerTracing } = readEnvironment({ ...endpoint, OTEL_SERVICE_NAME: 'vision' }).config;
    expect(workerTracing).toEqual({ ...tracing, serviceName: 'vision-worker' });
    expect(tracingOf(tracingEnvironment(workerTracing))).toEqual(workerTracing);
    expect(readEnvironment(endpoint).config.workerTracing!.serviceName).toBe('fovea-worker');
  });

  it.each([
    { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=hidden' },
    { OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'api-key=hidden' },
    { OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key.pem' },
  ])('is not handed on with what the collector wants to be shown: %j', (credential) => {
    const { config } = readEnvironment({ ...endpoint, ...credential });
    expect(config.tracing).not.toBeNull();
    expect(config.workerTracing).toBeNull();
    expect(JSON.stringify(config)).not.toContain('hidden');
  });
});
