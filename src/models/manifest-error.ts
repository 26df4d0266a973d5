import { OperatorError } from '../lib/errors.ts';

/** One thing that is wrong with a manifest or with the files it names. */
export interface Fault {
  /** Where in the manifest: `input.width`; empty: the manifest as a whole. */
  readonly path: string;
  readonly found: string;
  readonly wanted: string;
}

/** A model that is not imported, with every reason at once. */
export class ManifestError extends OperatorError {
  readonly faults: readonly Fault[];

  constructor(manifestPath: string, faults: readonly Fault[]) {
    const lines = faults.map(
      ({ path, found, wanted }) => `  ${path || 'manifest'}: found ${found}; wanted ${wanted}`,
    );
    super(`${manifestPath} is not imported:\n${lines.join('\n')}`);
    this.name = 'ManifestError';
    this.faults = faults;
  }
}

/** A value as it stands in the manifest, shortened. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
