import { errorCode } from '../errors.ts';

/**
 * What a span tells beside its name and its times. Whoever reads traces may not be who may see pictures: no pixels, no
 * credentials, no addresses of pictures. Text beyond 256 characters is cut.
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** The W3C trace context as HTTP headers; none where nothing is traced. */
export type TraceHeaders = Readonly<Record<string, string>>;

export interface SpanOptions {
  /** `server`: another process asked for it; `client`: another process does it. */
  readonly kind?: 'server' | 'client';
  /** Spans that led to it and are not above it. */
  readonly links?: readonly Span[];
}

/**
 * A stage of a request, below the stage that it is a part of. It is handed on as an argument: a batch carries several
 * requests, so no single one is «the present one» there, and a context that followed promises by itself would cost every
 * request, traced or not.
 */
export interface Span {
  /** False: nobody will see it, so nothing needs to be found out for it. */
  readonly isRecorded: boolean;
  /** null: nothing is traced. */
  readonly traceId: string | null;
  /** For whoever is asked to do the work, so that his spans hang below this one. */
  readonly headers: TraceHeaders;
  child(name: string, attributes?: Attributes, options?: SpanOptions): Span;
  set(attributes: Attributes): void;
  /** `code`: why it failed, as `errorCode` tells. Only the first end counts. */
  end(code?: string): void;
}

/** Where nothing is traced: every child is this one again. */
export const noSpan: Span = {
  isRecorded: false,
  traceId: null,
  headers: {},
  child: () => noSpan,
  set() {},
  end() {},
};

/** Does `work` as a child span of `parent`, which ends with it. */
export function traced<Result>(
  parent: Span,
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  if (!parent.isRecorded) return work(parent);
  return recorded(parent.child(name, attributes), work);
}

async function recorded<Result>(span: Span, work: (span: Span) => Promise<Result>): Promise<Result> {
  try {
    const result = await work(span);
    span.end();
    return result;
  } catch (error) {
    span.end(errorCode(error));
    throw error;
  }
}
