import { z } from 'zod';
import { otlpProtocols, samplers, type TracingSettings } from '../lib/tracing/tracer.ts';
import { httpUrl, integer, secret, setting, type ValuesOf } from './setting.ts';

const isEndpoint = (value: string) => {
  const url = URL.parse(value);
  return url !== null && httpUrl(value) && `${url.username}${url.password}` === '';
};
const endpoint = setting(
  z.string().refine(isEndpoint),
  "a collector's URL, e.g. http://127.0.0.1:4318; what it wants to be shown goes into OTEL_EXPORTER_OTLP_HEADERS",
);
const protocol = setting(z.enum(otlpProtocols), `${otlpProtocols.join(' or ')} (the collector's port 4318)`);
const headers = secret(z.string(), 'name=value, with commas between');

/** Those of OpenTelemetry's variables that are read here; its exporter reads its others. */
export const tracingSettings = {
  OTEL_SDK_DISABLED: setting(
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(['true', 'false'])),
    'true or false',
  ),
  OTEL_TRACES_EXPORTER: setting(z.enum(['otlp', 'none']), 'otlp or none'),
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_HEADERS: headers,
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: headers,
  OTEL_EXPORTER_OTLP_CLIENT_KEY: setting(z.string(), 'the path of a key'),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: setting(z.string(), 'the path of a key'),
  OTEL_SERVICE_NAME: setting(z.string().max(255), 'a name, 1..255 characters'),
  OTEL_TRACES_SAMPLER: setting(z.enum(samplers), samplers.join(', ')),
  OTEL_TRACES_SAMPLER_ARG: setting(
    z
      .string()
      .regex(/^(\d+\.?\d*|\.\d+)$/)
      .transform(Number)
      .refine((ratio) => ratio <= 1),
    'the share of traces that are kept, 0..1',
  ),
  OTEL_BSP_SCHEDULE_DELAY: setting(integer(1, 600_000), 'milliseconds, 1..600000'),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: setting(integer(1, 65_536), 'a number of spans, 1..65536'),
  OTEL_BSP_MAX_QUEUE_SIZE: setting(integer(1, 1_048_576), 'a number of spans, 1..1048576'),
};

type Read = ValuesOf<typeof tracingSettings>;

/** null where no collector is named, or tracing is switched off. */
export function tracingOf(read: Read): TracingSettings | null {
  const base = read.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url = read.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base && `${base.replace(/\/$/, '')}/v1/traces`);
  const isOff = read.OTEL_SDK_DISABLED === 'true' || read.OTEL_TRACES_EXPORTER === 'none';
  if (url === undefined || isOff) return null;
  return {
    url,
    protocol: read.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? read.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'http/protobuf',
    serviceName: read.OTEL_SERVICE_NAME ?? null,
    sampler: read.OTEL_TRACES_SAMPLER ?? 'parentbased_always_on',
    ratio: read.OTEL_TRACES_SAMPLER_ARG ?? 1,
    batch: {
      delayMs: read.OTEL_BSP_SCHEDULE_DELAY ?? 5_000,
      most: read.OTEL_BSP_MAX_EXPORT_BATCH_SIZE ?? 512,
      queue: read.OTEL_BSP_MAX_QUEUE_SIZE ?? 2_048,
    },
  };
}

/**
 * As `tracingOf`, for workers of this machine: they are named apart. null also where the collector wants a credential, which
 * is not for a process that runs what customers bring.
 */
export function workerTracingOf(read: Read): TracingSettings | null {
  const tracing = tracingOf(read);
  if (tracing === null) return null;
  const credentials = [
    read.OTEL_EXPORTER_OTLP_HEADERS,
    read.OTEL_EXPORTER_OTLP_TRACES_HEADERS,
    read.OTEL_EXPORTER_OTLP_CLIENT_KEY,
    read.OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY,
  ];
  if (credentials.some((credential) => credential !== undefined)) return null;
  return { ...tracing, serviceName: `${tracing.serviceName ?? 'fovea'}-worker` };
}

/** The variables that `tracingOf` would read as `settings`. */
export function tracingEnvironment(settings: TracingSettings | null): Record<string, string> {
  if (settings === null) return {};
  const { url, protocol, serviceName, sampler, ratio, batch } = settings;
  return {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
    ...(serviceName !== null && { OTEL_SERVICE_NAME: serviceName }),
    OTEL_TRACES_SAMPLER: sampler,
    OTEL_TRACES_SAMPLER_ARG: String(ratio),
    OTEL_BSP_SCHEDULE_DELAY: String(batch.delayMs),
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: String(batch.most),
    OTEL_BSP_MAX_QUEUE_SIZE: String(batch.queue),
  };
}
