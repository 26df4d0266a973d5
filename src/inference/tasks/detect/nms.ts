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
  const keptByClass = new Map<number, number[]>();
  for (const proposal of proposals) {
    const { x1, y1, x2, y2, index } = proposal;
    const kept = keptByClass.get(index) ?? [];
    if (overlapsAny(kept, proposal, iouThreshold)) continue;
    kept.push(x1, y1, x2, y2);
    keptByClass.set(index, kept);
    yield proposal;
  }
}

/**
 * A box whose edges are the wrong way round has no area, and overlaps nothing.
 * @param boxes four edges each, one after the other: a flat list of numbers is read twice as fast as objects
 */
function overlapsAny(boxes: readonly number[], { x1, y1, x2, y2 }: Corners, iouThreshold: number): boolean {
  const area = (x2 - x1) * (y2 - y1);
  for (let at = 0; at < boxes.length; at += 4) {
    const left = boxes[at]!;
    const top = boxes[at + 1]!;
    const right = boxes[at + 2]!;
    const bottom = boxes[at + 3]!;
    const width = Math.min(right, x2) - Math.max(left, x1);
    const height = Math.min(bottom, y2) - Math.max(top, y1);
    if (width <= 0 || height <= 0) continue;
    const shared = width * height;
    if (shared > iouThreshold * (area + (right - left) * (bottom - top) - shared)) return true;
  }
  return false;
}
