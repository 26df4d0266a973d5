import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from '../logger.ts';
import { type Attributes, noSpan, type Span } from './span.ts';

/** Which traces are kept, by the names of `OTEL_TRACES_SAMPLER`. */
export const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
export type SamplerName = (typeof samplers)[number];

/** How the OpenTelemetry protocol is spoken: over HTTP, in one of two notations. */
export const otlpProtocols = ['http/protobuf', 'http/json'] as const;
export type OtlpProtocol = (typeof otlpProtocols)[number];

/** Where spans go. The exporter reads more by itself: `OTEL_EXPORTER_OTLP_HEADERS` and its other variables. */
export interface TracingSettings {
  /** Whole, with the path of traces. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  /** null: the process' own. */
  readonly serviceName: string | null;
  readonly sampler: SamplerName;
  /** Of all traces, 0..1: for the samplers that go by one. */
  readonly ratio: number;
  readonly batch: SpanBatching;
}

export interface SpanBatching {
  /** How long a span waits for others. */
  readonly delayMs: number;
  /** Spans in one message, at most. */
  readonly most: number;
  /** Spans that are not yet at the collector, at most: one more is lost. */
  readonly queue: number;
}

/** What became of the spans so far. */
export interface SpanCounts {
  readonly exported: number;
  /** Too many waited already. */
  readonly dropped: number;
  /** The collector did not take them. */
  readonly failed: number;
}

export interface Tracer {
  /** A span for a request that came in, below the one that its headers name, if they name one. */
  serve(name: string, headers: IncomingHttpHeaders, attributes?: Attributes): Span;
  /** null: nothing is traced. */
  counts(): SpanCounts | null;
  /** Sends what waits, for 2 s at most. */
  close(): Promise<void>;
}

export const noTracer: Tracer = { serve: () => noSpan, counts: () => null, close: async () => {} };

/** `settings` null: nothing is traced, and OpenTelemetry is not even loaded. `service`: the process' own name. */
export async function openTracer(
  settings: TracingSettings | null,
  { service, logger }: { service: string; logger: Logger },
): Promise<Tracer> {
  if (settings === null) return noTracer;
  const { OtlpTracer } = await import('./otlp-tracer.ts');
  return new OtlpTracer(settings, { service, logger });
}
