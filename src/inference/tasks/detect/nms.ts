import type { Corners } from '../../images/geometry.ts';

export interface Proposal extends Corners {
  /** The class. */
  readonly index: number;
}

/**
 * Greedy non-maximum suppression within each class: yields, in their order, the boxes that overlap none yielded before of
 * their class by an IoU above the threshold. (Pascal VOC's evaluation made the measure common: Everingham et al. 2010; the
 * same rule as torchvision's `nms`, `csrc/ops/cpu/nms_kernel.cpp`, and `batched_nms`.)
 *
 * Yields one at a time, so that a caller who wants few pays for few: at most a comparison for each proposal looked at and each
 * kept of its class.
 *
 * @param proposals highest score first
 * @param iouThreshold 0..1; boxes that only touch overlap by 0, and two that are the same by 1, which is not above 1
 */
export function* suppressOverlaps<P extends Proposal>(
  proposals: Iterable<P>,
  iouThreshold: number,
): Generator<P, void> {
  const keptByClass = new Map<number, P[]>();
  for (const proposal of proposals) {
    const kept = keptByClass.get(proposal.index);
    if (kept?.some((other) => overlapsMore(other, proposal, iouThreshold))) continue;
    if (kept === undefined) keptByClass.set(proposal.index, [proposal]);
    else kept.push(proposal);
    yield proposal;
  }
}

/** A box whose edges are the wrong way round has no area, and overlaps nothing. */
function overlapsMore(a: Corners, b: Corners, iouThreshold: number): boolean {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  if (!(width > 0 && height > 0)) return false;
  const intersection = width * height;
  return intersection > iouThreshold * (area(a) + area(b) - intersection);
}

function area({ x1, y1, x2, y2 }: Corners): number {
  return (x2 - x1) * (y2 - y1);
}
