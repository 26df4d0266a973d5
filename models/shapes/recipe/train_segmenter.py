"""Trains the segmenter on what write-crowded-data-set.ts wrote and exports it as ONNX.

    python train_segmenter.py <folder with crowdedTraining.* and crowdedValidation.*> <shapes-segment.onnx>

A small U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015) whose halves are
joined by sums. It answers at half the input's size; its loss is taken after enlarging to the whole, as the server does.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

from batches import SEED
from network import convolution, train, translated
from scenes import SIDE, Scenes

CHANNELS = 7  # the background, then the kinds
EPOCHS = 5


def network():
    pixels = keras.Input((SIDE, SIDE, 3))
    half = convolution(pixels, 16, stride=2)
    quarter = convolution(convolution(half, 32, stride=2), 32)
    eighth = convolution(convolution(quarter, 64, stride=2), 64)
    x = convolution(eighth, 80, stride=2)
    x = convolution(x, 80)
    x = convolution(x, 64)
    x = layers.Add()([layers.UpSampling2D(2)(x), eighth])
    x = convolution(convolution(x, 64), 32)
    x = layers.Add()([layers.UpSampling2D(2)(x), quarter])
    x = convolution(convolution(x, 32), 16)
    x = layers.Add()([layers.UpSampling2D(2)(x), half])
    x = convolution(x, 16)
    return keras.Model(pixels, layers.Conv2D(CHANNELS, 1)(x))


def targets(masks, _):
    return masks.astype(np.int32)


def main(folder, path):
    keras.utils.set_random_seed(SEED)
    model = network()
    whole = keras.Model(model.inputs, layers.UpSampling2D(2, interpolation="bilinear")(model.output))
    training = Scenes(folder, "crowdedTraining", targets, training=True)
    validation = Scenes(folder, "crowdedValidation", targets)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train(whole, loss, training, validation, EPOCHS, metrics=["accuracy"])
    graph, _ = translated(model, SIDE)
    graph.nodes[-1].output[0] = "logits"
    graph.save(path, "logits", [CHANNELS, SIDE // 2, SIDE // 2])


if __name__ == "__main__":
    main(*sys.argv[1:])
