import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A span as it came over the wire. */
export interface CollectedSpan {
  /** Of the process that made it. */
  readonly service: string;
  readonly name: string;
  /** 1: internal, 2: server, 3: client. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** null: it is the first of its trace. */
  readonly parentSpanId: string | null;
  readonly traceState: string | null;
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** `error.type` where its status says that it failed; null where it did not. */
  readonly error: string | null;
  /** The spans that it links to. */
  readonly links: readonly string[];
}

export interface OtlpCollector {
  readonly url: string;
  /** Those of one trace so far; of all of them where none is named. */
  spans(traceId?: string): CollectedSpan[];
  /** Everything that came, as it came. */
  readonly text: string;
  /** Requests that came, whatever they were answered. */
  readonly requests: number;
  /** Settles with the spans once `enough` is true of them. Throws after 10 s, with what there is. */
  until(enough: (spans: CollectedSpan[]) => boolean): Promise<CollectedSpan[]>;
  close(): Promise<void>;
}

/** What the OpenTelemetry protocol's JSON has of what is read here. */
interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}
interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}
interface WireSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly status: { readonly code: number };
  readonly links: readonly { readonly spanId: string }[];
}

/** A collector of spans that takes the OpenTelemetry protocol as JSON over HTTP. `answer`: in the place of an acceptance. */
export async function startCollector(answer?: RequestListener): Promise<OtlpCollector> {
  const found: CollectedSpan[] = [];
  let text = '';
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests += 1;
    if (answer) return void answer(request, response);
    const chunks = await request.toArray();
    const body = Buffer.concat(chunks).toString();
    text += body;
    if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/json') {
      response.writeHead(400).end();
      return;
    }
    found.push(...spansOf(JSON.parse(body) as ExportRequest));
    response.setHeader('content-type', 'application/json').end('{"partialSuccess":{}}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const spans = (traceId?: string) =>
    found.filter((span) => traceId === undefined || span.traceId === traceId);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    get text() {
      return text;
    },
    get requests() {
      return requests;
    },
    async until(enough) {
      const late = Date.now() + 10_000;
      while (!enough(found)) {
        if (Date.now() > late)
          throw new Error(`spans that did not come; there are:\n${found.map(described).join('\n')}`);
        await sleep(10);
      }
      return [...found];
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** `environment` that has a server's spans sent to the collector, at once. */
export function sentTo({ url }: { readonly url: string }): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '20',
  };
}

/** Each span by its name, with what is below it in the order of its start: what a trace's reader sees. */
export function treeOf(spans: readonly CollectedSpan[]): unknown {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const below = (parent: CollectedSpan | null): unknown[] =>
    spans
      .filter(({ parentSpanId }) =>
        parent ? parentSpanId === parent.spanId : parentSpanId === null || !ids.has(parentSpanId),
      )
      .sort((a, b) => (a.start < b.start ? -1 : 1))
      .map((span) => {
        const children = below(span);
        const name = `${span.name}${span.service === 'fovea' ? '' : ` (${span.service})`}`;
        return children.length === 0 ? name : { [name]: children };
      });
  return below(null);
}

function spansOf({ resourceSpans }: ExportRequest): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(attributesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => collected(service, span)));
  });
}

function collected(service: string, span: WireSpan): CollectedSpan {
  const attributes = attributesOf(span.attributes);
  return {
    service,
    name: span.name,
    kind: span.kind,
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || null,
    traceState: span.traceState || null,
    start: BigInt(span.startTimeUnixNano),
    end: BigInt(span.endTimeUnixNano),
    attributes,
    error: span.status.code === 2 ? String(attributes['error.type']) : null,
    links: span.links.map(({ spanId }) => spanId),
  };
}

function attributesOf(attributes: readonly KeyValue[]): Record<string, string | number | boolean> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]!]));
}

function described({ service, name, traceId, error }: CollectedSpan): string {
  return `${traceId} ${service} ${name}${error === null ? '' : ` (${error})`}`;
}
