const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `4096`, `512MiB`, `1.5 GiB`, …: bytes; null where it is none of these. */
export function parseByteSize(text: string): number | null {
  const [, number, unit = 'bytes'] = /^(\d{1,15}(?:\.\d{1,3})?)(?: ?([KMGT]iB))?$/.exec(text) ?? [];
  const bytes = Math.round(Number(number) * 1024 ** UNITS.indexOf(unit as (typeof UNITS)[number]));
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** For messages: `1.5 GiB`. */
export function byteSize(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${UNITS[power]}`;
}
