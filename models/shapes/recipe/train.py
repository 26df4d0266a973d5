"""Trains the classifier on what write-data-set.ts wrote and exports it as ONNX.

    python train.py <folder with training.bin and validation.bin> <shapes.onnx>
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper

SIDE, CLASSES = 64, 36
EPOCHS, BATCH, SEED = 14, 64, 7
# (filters, stride) of the 3x3 convolutions; each is followed by batch norm and ReLU.
CONVOLUTIONS = [(24, 2), (48, 2), (64, 1), (96, 2), (96, 1)]


def read(path):
    records = np.fromfile(path, np.uint8).reshape(-1, 1 + SIDE * SIDE * 3)
    return records[:, 1:].reshape(-1, SIDE, SIDE, 3), records[:, 0].astype(np.int32)


class Augmented(keras.utils.PyDataset):
    """Batches in random order, mirrored and turned by right angles: a star stays a star."""

    def __init__(self, images, columns):
        super().__init__()
        self.images, self.columns = images, columns
        self.random = np.random.default_rng(SEED)
        self.on_epoch_end()

    def __len__(self):
        return len(self.images) // BATCH

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.images))

    def __getitem__(self, index):
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        images = self.images[chosen]
        if self.random.random() < 0.5:
            images = images[:, ::-1]
        if self.random.random() < 0.5:
            images = images[:, :, ::-1]
        if self.random.random() < 0.5:
            images = images.transpose(0, 2, 1, 3)
        return normalised(images), self.columns[chosen]


def normalised(images):
    """As the manifest says: scale 1/255, mean 0.5, std 0.25."""
    return (images.astype(np.float32) / 255 - 0.5) / 0.25


def network():
    x = pixels = keras.Input((SIDE, SIDE, 3))
    for filters, stride in CONVOLUTIONS:
        # Explicit padding: Keras pads strided convolutions on one side only.
        x = layers.ZeroPadding2D(1)(x)
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.BatchNormalization(momentum=0.95, epsilon=1e-5)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(CLASSES)(x))


def export(model, path):
    """Writes the graph with batch norm folded into the convolutions: float32 NCHW in, logits out, any batch."""
    nodes, weights = [], []

    def constant(name, values):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    tensor = "pixels"
    for index, (convolution, norm) in enumerate(zip(convolutions, norms), start=1):
        gamma, beta, mean, variance = norm.get_weights()
        gain = gamma / np.sqrt(variance + norm.epsilon)
        kernel = convolution.get_weights()[0].transpose(3, 2, 0, 1) * gain[:, None, None, None]
        inputs = [tensor, constant(f"kernel{index}", kernel), constant(f"bias{index}", beta - mean * gain)]
        strides = list(convolution.strides)
        nodes.append(
            helper.make_node("Conv", inputs, [f"conv{index}"], kernel_shape=[3, 3], pads=[1] * 4, strides=strides)
        )
        nodes.append(helper.make_node("Relu", [f"conv{index}"], [f"relu{index}"]))
        tensor = f"relu{index}"
    kernel, bias = model.layers[-1].get_weights()
    nodes.append(helper.make_node("GlobalAveragePool", [tensor], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["features"]))
    dense = ["features", constant("dense_kernel", kernel), constant("dense_bias", bias)]
    nodes.append(helper.make_node("Gemm", dense, ["logits"]))

    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        weights,
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="fovea-shapes")
    file.ir_version = 8
    onnx.checker.check_model(file, full_check=True)
    onnx.save(file, path)


def main(folder, path):
    keras.utils.set_random_seed(SEED)
    training = Augmented(*read(os.path.join(folder, "training.bin")))
    images, columns = read(os.path.join(folder, "validation.bin"))
    model = network()
    model.summary()
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, EPOCHS * len(training), alpha=0.0, warmup_target=4e-3, warmup_steps=len(training)
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(training, epochs=EPOCHS, validation_data=(normalised(images), columns), verbose=2)
    export(model, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
