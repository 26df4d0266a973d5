"""Trains the classifier on what write-data-set.ts wrote and exports it as ONNX.

    python train_classifier.py <folder with training.bin and validation.bin> <shapes.onnx>
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

from batches import SEED, Batches, normalised, turned
from network import convolution, train, translated

SIDE, CLASSES = 64, 36
EPOCHS = 14
# (filters, stride) of the convolutions.
CONVOLUTIONS = [(24, 2), (48, 2), (64, 1), (96, 2), (96, 1)]


def read(path):
    records = np.fromfile(path, np.uint8).reshape(-1, 1 + SIDE * SIDE * 3)
    return records[:, 1:].reshape(-1, SIDE, SIDE, 3), records[:, 0].astype(np.int32)


class Pictures(Batches):
    def __init__(self, images, columns):
        self.images, self.columns = images, columns
        super().__init__(len(images), training=True)

    def batch(self, chosen, turn):
        return normalised(turned(self.images[chosen], turn)), self.columns[chosen]


def network():
    x = pixels = keras.Input((SIDE, SIDE, 3))
    for filters, stride in CONVOLUTIONS:
        x = convolution(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(CLASSES)(x))


def main(folder, path):
    keras.utils.set_random_seed(SEED)
    training = Pictures(*read(os.path.join(folder, "training.bin")))
    images, columns = read(os.path.join(folder, "validation.bin"))
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train(model, loss, training, (normalised(images), columns), EPOCHS, metrics=["accuracy"])
    graph, (logits,) = translated(model, SIDE)
    graph.save(path, logits, [CLASSES])


if __name__ == "__main__":
    main(*sys.argv[1:])
