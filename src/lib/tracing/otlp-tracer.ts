import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Span as ApiSpan,
  type Tracer as ApiTracer,
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type SpanOptions as StartOptions,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger } from '../logger.ts';
import { version } from '../version.ts';
import type { Attributes, Span, SpanOptions, TraceHeaders } from './span.ts';
import { SpanOutlet } from './span-outlet.ts';
import type { SpanCounts, Tracer, TracingSettings } from './tracer.ts';

/** How long the end of the process waits for the collector. */
const CLOSE_MS = 2_000;
/** Some attributes are words of clients. */
const MAX_VALUE_LENGTH = 256;

const propagator = new W3CTraceContextPropagator();
const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT };

/** The tracer where tracing is on: the one file that knows OpenTelemetry's SDK, which is loaded with it. */
export class OtlpTracer implements Tracer {
  readonly #outlet: SpanOutlet;
  readonly #provider: TracerProvider;
  readonly #tracer: ApiTracer;

  constructor(settings: TracingSettings, { service, logger }: { service: string; logger: Logger }) {
    const { url, protocol, batch } = settings;
    const exporter = protocol === 'http/json' ? new JsonExporter({ url }) : new ProtobufExporter({ url });
    this.#outlet = new SpanOutlet(exporter, batch, logger);
    this.#provider = new TracerProvider({
      // The operator's `OTEL_RESOURCE_ATTRIBUTES` go before ours.
      resource: defaultResource()
        .merge(
          resourceFromAttributes({
            'service.name': service,
            'service.version': version,
            'process.pid': process.pid,
          }),
        )
        .merge(detectResources({ detectors: [resourceAttributesEnvDetector] }))
        .merge(
          settings.serviceName === null
            ? null
            : resourceFromAttributes({ 'service.name': settings.serviceName }),
        ),
      sampler: samplerOf(settings),
      spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
      spanProcessors: [this.#outlet],
    });
    this.#tracer = this.#provider.getTracer('fovea', version);
  }

  serve(name: string, headers: IncomingHttpHeaders, attributes: Attributes = {}): Span {
    const context = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter) as Context;
    const epoch = presentEpoch();
    const options = { kind: SpanKind.SERVER, attributes, startTime: epoch + performance.now() };
    return new OtlpSpan(this.#tracer, this.#tracer.startSpan(name, options, context), epoch);
  }

  counts(): SpanCounts {
    return this.#outlet.counts();
  }

  async close(): Promise<void> {
    // What could not be sent has been counted and logged.
    const sent = this.#provider.shutdown().catch(() => {});
    await Promise.race([sent, delay(CLOSE_MS, undefined, { ref: false })]);
  }
}

class OtlpSpan implements Span {
  readonly isRecorded: boolean;
  readonly #tracer: ApiTracer;
  readonly #span: ApiSpan;
  readonly #epoch: number;
  #context: Context | null = null;
  #isEnded = false;

  constructor(tracer: ApiTracer, span: ApiSpan, epoch: number) {
    this.#tracer = tracer;
    this.#span = span;
    this.#epoch = epoch;
    this.isRecorded = span.isRecording();
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  get headers(): TraceHeaders {
    const headers: Record<string, string> = {};
    propagator.inject(this.#below, headers, defaultTextMapSetter);
    return headers;
  }

  child(name: string, attributes: Attributes = {}, { kind, links = [] }: SpanOptions = {}): Span {
    if (!this.isRecorded) return this;
    const options: StartOptions = {
      attributes,
      startTime: this.#now,
      ...(kind && { kind: kinds[kind] }),
      ...(links.length > 0 && { links: links.flatMap(linkTo) }),
    };
    return new OtlpSpan(this.#tracer, this.#tracer.startSpan(name, options, this.#below), this.#epoch);
  }

  set(attributes: Attributes): void {
    if (this.isRecorded && !this.#isEnded) this.#span.setAttributes(attributes);
  }

  end(code?: string): void {
    if (!this.isRecorded || this.#isEnded) return;
    this.#isEnded = true;
    if (code !== undefined) {
      this.#span.setAttribute('error.type', code);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end(this.#now);
  }

  linkTo(): Link {
    return { context: this.#span.spanContext() };
  }

  get #below(): Context {
    this.#context ??= trace.setSpan(ROOT_CONTEXT, this.#span);
    return this.#context;
  }

  get #now(): number {
    return this.#epoch + performance.now();
  }
}

function linkTo(span: Span): Link[] {
  return span instanceof OtlpSpan && span.isRecorded ? [span.linkTo()] : [];
}

/**
 * When the clock that never goes back began, milliseconds since 1970, with fractions: all spans of a request are timed by it,
 * since `Date.now()`, which the SDK would take, tells no fractions, and many a stage takes less. Both clocks part only where
 * the machine's time is set or it slept.
 */
function presentEpoch(): number {
  const drift = Date.now() - (performance.timeOrigin + performance.now());
  return performance.timeOrigin + (Math.abs(drift) < 2 ? 0 : drift);
}

function samplerOf({ sampler, ratio }: TracingSettings): Sampler {
  const [, isParentBased, name] = /^(parentbased_)?(.+)$/.exec(sampler)!;
  const root =
    name === 'traceidratio'
      ? new TraceIdRatioBasedSampler(ratio)
      : name === 'always_off'
        ? new AlwaysOffSampler()
        : new AlwaysOnSampler();
  return isParentBased ? new ParentBasedSampler({ root }) : root;
}
