"""What write-crowded-data-set.ts wrote, read in batches for the detector and the segmenter."""

import os

import numpy as np

from batches import Batches, normalised, turned

SIDE, OBJECTS = 128, 5


class Scenes(Batches):
    """Normalised pixels, and what `targets(masks, boxes)` makes of the truth.

    Masks are bytes [n, 128, 128]; boxes [n, 5, 5]: class (−1: no object), left, top, width, height in pixels.
    """

    def __init__(self, folder, name, targets, training=False):
        def part(suffix, dtype, *shape):
            return np.memmap(os.path.join(folder, f"{name}.{suffix}"), dtype, "r").reshape(-1, *shape)

        self.pixels = part("pixels", np.uint8, SIDE, SIDE, 3)
        self.masks = part("masks", np.uint8, SIDE, SIDE)
        self.boxes = part("boxes", np.float32, OBJECTS, 5)
        self.targets = targets
        super().__init__(len(self.pixels), training)

    def batch(self, chosen, turn):
        masks, boxes = turned(self.masks[chosen], turn), turned_boxes(self.boxes[chosen], turn)
        return normalised(turned(self.pixels[chosen], turn)), self.targets(masks, boxes)


def turned_boxes(boxes, turn):
    upside_down, left_to_right, diagonal = turn
    label, left, top, width, height = (boxes[..., column] for column in range(5))
    if upside_down:
        top = SIDE - top - height
    if left_to_right:
        left = SIDE - left - width
    if diagonal:
        left, top, width, height = top, left, height, width
    return np.stack([label, left, top, width, height], axis=-1)
