"""Trains the detector on what write-crowded-data-set.ts wrote and exports it as ONNX.

    python train_detector.py <folder with crowdedTraining.* and crowdedValidation.*> <shapes-detect.onnx>

The head, its decoding and its losses are YOLOX's (Ge et al., "YOLOX: Exceeding YOLO Series in 2021"); which cell answers
for which object is simpler: the cells next to the object's centre, on the level of the object's size.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from batches import SEED
from network import convolution, train, translated
from scenes import SIDE, Scenes

CLASSES = 36
COLUMNS = 5 + CLASSES
EPOCHS = 12
STRIDES = [8, 16]
# Objects whose longer side is below this many pixels are of the first level.
SMALL = 44
# A cell answers for an object where its centre is at most so many strides from the object's, across and down.
REACH = 1.25

# Of every cell, levels in the order of strides, rows from the top: its column, its row, its stride.
CELLS = np.concatenate(
    [
        [(x, y, stride) for y in range(SIDE // stride) for x in range(SIDE // stride)]
        for stride in STRIDES
    ]
).astype(np.float32)


def network():
    pixels = keras.Input((SIDE, SIDE, 3))
    x = convolution(pixels, 16, stride=2)
    x = convolution(x, 32, stride=2)
    x = convolution(x, 48)
    x = convolution(x, 80, stride=2)
    x = near = convolution(x, 80)
    x = convolution(x, 80, stride=2)
    x = convolution(x, 80)
    x = coarse = convolution(x, 80)
    x = layers.Add()([layers.UpSampling2D(2)(x), near])
    x = convolution(x, 80)
    fine = convolution(x, 80)
    return keras.Model(pixels, [head(fine), head(coarse)])


def head(x):
    """41 columns a cell, before any sigmoid; it begins with all but certain that there is nothing."""
    bias = np.zeros(COLUMNS)
    bias[2:4] = 1
    bias[4:] = -4
    return layers.Conv2D(COLUMNS, 1, bias_initializer=keras.initializers.Constant(bias))(x)


def targets(_, boxes):
    """[n, cells, 5]: the class of the object that a cell answers for, or −1, and its centre, width, height in pixels."""
    label, left, top, width, height = (boxes[:, None, :, column] for column in range(5))
    centre_x, centre_y = left + width / 2, top + height / 2
    column, row, stride = (CELLS[None, :, None, index] for index in range(3))
    away_x = np.abs((column + 0.5) - centre_x / stride)
    away_y = np.abs((row + 0.5) - centre_y / stride)
    is_small = np.maximum(width, height) < SMALL
    answers = (label >= 0) & (is_small == (stride == STRIDES[0])) & (np.maximum(away_x, away_y) <= REACH)
    distance = np.where(answers, away_x**2 + away_y**2, np.inf)
    nearest = distance.argmin(axis=2)[..., None]

    def of_nearest(values):
        return np.take_along_axis(np.broadcast_to(values, distance.shape), nearest, axis=2)[..., 0]

    found = np.where(of_nearest(answers), of_nearest(label), -1)
    box = [of_nearest(values) for values in (centre_x, centre_y, width, height)]
    return np.stack([found, *box], axis=-1).astype(np.float32)


def loss(truth, answer):
    """5 · (1 − IoU) of the boxes, and the cross entropies of objectness and classes, a mean over the answering cells."""
    label, box = truth[..., 0], truth[..., 1:]
    answers = tf.cast(label >= 0, tf.float32)
    cells = tf.constant(CELLS)
    centre = (answer[..., 0:2] + cells[:, :2]) * cells[:, 2:]
    size = tf.exp(tf.minimum(answer[..., 2:4], 4.0)) * cells[:, 2:]
    overlap = iou(centre, size, box[..., :2], box[..., 2:])
    # As in YOLOX, the class's score is taught to be as high as the box is good: so the best box comes first.
    wanted = tf.one_hot(tf.cast(label, tf.int32), CLASSES) * tf.stop_gradient(overlap)[..., None]
    objectness = tf.nn.sigmoid_cross_entropy_with_logits(answers, answer[..., 4])
    classes = tf.nn.sigmoid_cross_entropy_with_logits(wanted, answer[..., 5:])
    total = tf.reduce_sum(answers * (5 * (1 - overlap) + tf.reduce_sum(classes, -1)) + objectness)
    return total / tf.maximum(tf.reduce_sum(answers), 1)


def iou(centre, size, other_centre, other_size):
    low = tf.maximum(centre - size / 2, other_centre - other_size / 2)
    high = tf.minimum(centre + size / 2, other_centre + other_size / 2)
    common = tf.reduce_prod(tf.maximum(high - low, 0), -1)
    union = tf.reduce_prod(size, -1) + tf.reduce_prod(other_size, -1) - common
    return common / tf.maximum(union, 1e-6)


def export(model, path):
    """`cells [batch, 320, 41]`: x, y, width, height as the head gives them, then the sigmoids of the others."""
    graph, heads = translated(model, SIDE)
    shape = graph.constant("flat", [0, COLUMNS, -1], np.int64)
    flat = [graph.add("Reshape", [each, shape], f"{each}_flat") for each in heads]
    graph.add("Concat", flat, "levels", axis=2)
    graph.add("Transpose", ["levels"], "columns", perm=[0, 2, 1])
    for name, start, end in (("boxes", 0, 4), ("logits", 4, COLUMNS)):
        bounds = [graph.constant(f"{name}_{key}", [value], np.int64) for key, value in
                  (("from", start), ("to", end), ("axis", 2))]  # fmt: skip
        graph.add("Slice", ["columns", *bounds], name)
    graph.add("Sigmoid", ["logits"], "scores")
    graph.add("Concat", ["boxes", "scores"], "cells", axis=2)
    graph.save(path, "cells", [len(CELLS), COLUMNS])


def main(folder, path):
    keras.utils.set_random_seed(SEED)
    model = network()
    flat = [layers.Reshape((-1, COLUMNS))(each) for each in model.outputs]
    answers = keras.Model(model.inputs, layers.Concatenate(axis=1)(flat))
    training = Scenes(folder, "crowdedTraining", targets, training=True)
    validation = Scenes(folder, "crowdedValidation", targets)
    train(answers, loss, training, validation, EPOCHS)
    export(model, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
