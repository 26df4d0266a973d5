/**
 * When the request was named: a UUIDv7 begins with its milliseconds since the epoch. Taking the time from the id makes one fact
 * of two, so that a request retried across midnight or a month's end is still booked where it happened.
 */
export function occurredAt(requestId: string): Date {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(requestId)) {
    throw new TypeError(`The request id is "${requestId}", expected a UUIDv7.`);
  }
  return new Date(Number.parseInt(requestId.slice(0, 8) + requestId.slice(9, 13), 16));
}

/** A UUID before every request's id of `time` and later, and after every earlier one's. */
export function firstRequestId(time: Date): string {
  const ms = Math.max(0, time.getTime()).toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-000000000000`;
}
