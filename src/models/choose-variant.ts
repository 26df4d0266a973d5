import type { AutoCompression } from '../inference/request.ts';
import type { Compression } from '../inference/variant.ts';
import type { StoredVariant } from './served-model.ts';

const autoDefaults: AutoCompression = { maxAccuracyLoss: 0.01, maxLatencyMs: null };

/**
 * The variant that answers a wish, or null where there is none. `AUTO` takes the cheapest in units that meets `auto`; of
 * several the fastest by its report; then the uncompressed one. `latencyMs` says how long a variant takes for one image
 * here, null while that is not known: what is not known excludes nothing, or no bound could ever be met first.
 */
export function chooseVariant(
  variants: readonly StoredVariant[],
  compression: Compression | 'AUTO',
  auto: AutoCompression | null,
  latencyMs: (variantKey: string) => number | null,
): StoredVariant | null {
  if (compression !== 'AUTO') return variants.find((variant) => variant.compression === compression) ?? null;
  const { maxAccuracyLoss, maxLatencyMs } = auto ?? autoDefaults;
  const fit = variants.filter(
    (variant) =>
      accuracyLoss(variant) <= maxAccuracyLoss &&
      (maxLatencyMs === null || (latencyMs(variant.key) ?? 0) <= maxLatencyMs),
  );
  return fit.toSorted(byPreference)[0] ?? null;
}

function byPreference(a: StoredVariant, b: StoredVariant): number {
  return (
    a.unitsPerImage - b.unitsPerImage ||
    speedup(b) - speedup(a) ||
    Number(b.compression === 'NONE') - Number(a.compression === 'NONE')
  );
}

/** The uncompressed variant is what accuracy is measured against: no bound excludes it. One never measured promises nothing. */
function accuracyLoss({ compression, report }: StoredVariant): number {
  if (compression === 'NONE') return Number.NEGATIVE_INFINITY;
  if (report === null) return Number.POSITIVE_INFINITY;
  return report.accuracyDelta === null ? 1 - report.agreement : -report.accuracyDelta;
}

function speedup({ compression, report }: StoredVariant): number {
  return compression === 'NONE' ? 1 : (report?.speedup ?? 0);
}
