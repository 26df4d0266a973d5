import { errorCode } from '../../lib/errors.ts';
import { noSpan, type Span, type TraceHeaders } from '../../lib/tracing/span.ts';
import type { QueuedImage, Ticket } from './batch.ts';

/**
 * One batch in the traces of the requests it carries: a span in each. The first one's is the batch's own: the worker's spans
 * hang below it, and it links to where the other requests' images waited. Theirs link to it.
 */
export class BatchSpan {
  readonly #spans: readonly Span[];
  /** For the worker: also where the trace is not kept, so that he does not begin one of his own. */
  readonly headers: TraceHeaders;

  /** Ends the images' wait. */
  constructor(images: readonly QueuedImage[], worker: string) {
    for (const { waiting } of images) waiting.end();
    const traced = images.filter(({ ticket }) => ticket.span.isRecorded);
    const leading = traced[0]?.ticket;
    this.#spans = leading ? spansOf(leading, traced, { worker, images: images.length }) : [];
    this.headers = (this.#spans[0] ?? images[0]?.ticket.span ?? noSpan).headers;
  }

  /** `error`: why it failed. */
  end(error?: unknown): void {
    const code = error === undefined ? undefined : errorCode(error);
    for (const span of this.#spans) span.end(code);
  }
}

function spansOf(
  leading: Ticket,
  images: readonly QueuedImage[],
  batch: { readonly worker: string; readonly images: number },
): Span[] {
  const attributes = { 'fovea.worker': batch.worker, 'fovea.batch_size': batch.images };
  const others = images.filter(({ ticket }) => ticket !== leading);
  const links = others.map(({ waiting }) => waiting);
  const lead = leading.span.child('inference', attributes, { kind: 'client', links });
  const tickets = new Set(others.map(({ ticket }) => ticket));
  return [lead, ...[...tickets].map(({ span }) => span.child('inference', attributes, { links: [lead] }))];
}
