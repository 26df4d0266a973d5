import { fitClassifier } from './heads/classifier.ts';
import { fitGridDetector } from './heads/grid-detector.ts';
import type { Head, Shown } from './heads/head.ts';
import { fitBoxesScores, fitDetections, fitSsd } from './heads/listed-detector.ts';
import { fitLabels, fitMask } from './heads/mask.ts';
import type { ManifestOutput } from './manifest.ts';
import type { Fault } from './manifest-error.ts';

/**
 * Holds a manifest's `output` against what the graph answered: names, types, shapes and numbers. null, or with faults
 * pushed, where it does not fit.
 */
export function fitOutput(output: ManifestOutput, shown: Shown, faults: Fault[]): Head | null {
  switch (output.kind) {
    case 'logits':
    case 'probabilities':
      return fitClassifier(output, shown, faults);
    case 'boxes-scores':
      return fitBoxesScores(output, shown, faults);
    case 'ssd':
      return fitSsd(output, shown, faults);
    case 'detections':
      return fitDetections(output, shown, faults);
    case 'mask-logits':
    case 'mask-probabilities':
      return fitMask(output, shown, faults);
    case 'labels':
      return fitLabels(output, shown, faults);
    default:
      return fitGridDetector(output, shown, faults);
  }
}
