import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import type { Logger } from '../logger.ts';
import type { SpanBatching, SpanCounts } from './tracer.ts';

/** A collector chooses the words of its refusal. */
const MAX_REASON = 200;

/**
 * Where spans leave the process, in batches. Bounded: a collector that is down, slow or hostile costs `queue` spans of memory
 * and some lines of traces, and no request. What is lost is counted, and told in the log the first time.
 */
export class SpanOutlet implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #exporter: SpanExporter;
  readonly #queue: number;
  readonly #logger: Logger;
  /** Ended, and not known to be at the collector, nor to be lost. */
  #waiting = 0;
  #exported = 0;
  #dropped = 0;
  #failed = 0;
  #isToldOf = false;

  constructor(exporter: SpanExporter, { delayMs, most, queue }: SpanBatching, logger: Logger) {
    this.#exporter = exporter;
    this.#queue = queue;
    this.#logger = logger;
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, done) => this.#export(spans, done),
        shutdown: () => exporter.shutdown(),
      },
      scheduledDelayMillis: delayMs,
      maxExportBatchSize: Math.min(most, queue),
      maxQueueSize: queue,
    });
  }

  counts(): SpanCounts {
    return { exported: this.#exported, dropped: this.#dropped, failed: this.#failed };
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#queue) {
      this.#dropped += 1;
      this.#tellOfLoss('too many wait for the collector');
      return;
    }
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  #export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    const settled = ({ code, error }: ExportResult) => {
      this.#waiting -= spans.length;
      if (code === ExportResultCode.SUCCESS) this.#exported += spans.length;
      else {
        this.#failed += spans.length;
        this.#tellOfLoss(error?.message ?? 'the collector does not take them');
      }
      // That it failed is dealt with. The SDK would make text of the whole error, megabytes of a refusal's body included.
      done({ code: ExportResultCode.SUCCESS });
    };
    try {
      this.#exporter.export(spans, settled);
    } catch (error) {
      settled({ code: ExportResultCode.FAILED, error: error as Error });
    }
  }

  #tellOfLoss(reason: string): void {
    if (this.#isToldOf) return;
    this.#isToldOf = true;
    this.#logger.warn({ reason: reason.slice(0, MAX_REASON) }, 'spans of traces are lost; told this once');
  }
}
