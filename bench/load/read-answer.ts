import type { Reading, Sample, SampledReceipt } from './stream.ts';

export type Outcome = Pick<Sample, 'outcome' | 'images' | 'receipt'>;

export function refused(outcome: string): Outcome {
  return { outcome, images: 0, receipt: null };
}

export function readAnswer(reading: Reading, status: number, body: string): Outcome {
  if (reading === 'plain')
    return status === 200 ? { outcome: 'ANSWERED', images: 1, receipt: null } : refused(`HTTP_${status}`);
  const answer = parsed(body);
  const [error] = answer?.errors ?? [];
  if (error) return refused(error.extensions?.code ?? `HTTP_${status}`);
  const [field] = Object.values(answer?.data ?? {});
  if (!field?.results) return refused(`HTTP_${status}`);
  const failed = field.results.filter(({ __typename }) => __typename === 'ImageError');
  const images = field.results.length - failed.length;
  const outcome = images > 0 ? 'ANSWERED' : (failed[0]?.code ?? 'ImageError');
  return { outcome, images, receipt: receiptOf(field.receipt) };
}

interface Answer {
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
  readonly data?: Record<string, Field> | null;
}

interface Field {
  readonly results?: readonly { readonly __typename: string; readonly code?: string }[];
  readonly receipt?: ReceiptFields;
}

type ReceiptFields = Pick<SampledReceipt, 'batchSize' | 'cachedImages' | 'units'> & {
  readonly requestId: string;
  readonly timings?: Pick<
    SampledReceipt,
    'totalMs' | 'decodeMs' | 'queueMs' | 'inferenceMs' | 'postprocessMs'
  >;
};

function receiptOf(receipt: ReceiptFields | undefined): SampledReceipt | null {
  if (!receipt?.timings) return null;
  const { requestId, batchSize, cachedImages, units, timings } = receipt;
  // The first 48 bits of a UUIDv7 (RFC 9562) are its time.
  const startedAt = Number.parseInt(requestId.replace('-', '').slice(0, 12), 16);
  return { startedAt, batchSize, cachedImages, units, ...timings };
}

function parsed(body: string): Answer | null {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
