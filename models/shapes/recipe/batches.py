"""Batches of pictures for training, in random order, mirrored and turned."""

import keras
import numpy as np

BATCH, SEED = 64, 7


class Batches(keras.utils.PyDataset):
    """`batch(chosen, turn)` of a subclass gives the chosen records; those for training are shuffled and turned."""

    def __init__(self, count, training):
        super().__init__()
        self.count, self.training = count, training
        self.random = np.random.default_rng(SEED)
        self.on_epoch_end()

    def __len__(self):
        return self.count // BATCH

    def on_epoch_end(self):
        self.order = self.random.permutation(self.count) if self.training else np.arange(self.count)

    def __getitem__(self, index):
        turn = self.random.random(3) < 0.5 if self.training else np.zeros(3, bool)
        return self.batch(self.order[index * BATCH : (index + 1) * BATCH], turn)


def turned(images, turn):
    """Mirrored upside down, left to right, and over the diagonal, each if `turn` says so: a star stays a star."""
    upside_down, left_to_right, diagonal = turn
    if upside_down:
        images = images[:, ::-1]
    if left_to_right:
        images = images[:, :, ::-1]
    return images.swapaxes(1, 2) if diagonal else images


def normalised(images):
    """As the manifests say: scale 1/255, mean 0.5, std 0.25."""
    return (images.astype(np.float32) / 255 - 0.5) / 0.25
