"""What the three networks are built from, and their export as ONNX."""

import keras
import numpy as np
import onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper


def convolution(x, filters, stride=1):
    """3x3, batch norm, ReLU."""
    # Explicit padding: Keras pads strided convolutions on one side only.
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, kernel_initializer="he_normal")(x)
    x = layers.BatchNormalization(momentum=0.95, epsilon=1e-5)(x)
    return layers.ReLU()(x)


def train(model, loss, training, validation, epochs, metrics=()):
    """AdamW, its rate warmed up during the first epoch and then falling to zero along a cosine."""
    model.summary()
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * len(training), alpha=0.0, warmup_target=4e-3, warmup_steps=len(training)
    )
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=1e-4), loss, metrics=list(metrics))
    model.fit(training, epochs=epochs, validation_data=validation, verbose=2)


class Graph:
    """An ONNX graph in the making: float32 `pixels [batch, 3, side, side]`, NCHW, any batch."""

    def __init__(self, side):
        self.side = side
        self.nodes, self.weights = [], []

    def constant(self, name, values, dtype=np.float32):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def add(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def save(self, path, output, shape):
        graph = helper.make_graph(
            self.nodes,
            "shapes",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, self.side, self.side])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *shape])],
            self.weights,
        )
        file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="fovea-shapes")
        file.ir_version = 8
        onnx.checker.check_model(file, full_check=True)
        onnx.save(file, path)


def translated(model, side):
    """A graph of the layers above, batch norm folded into the convolutions, and the names of the model's outputs in it."""
    graph = Graph(side)
    names = {id(model.inputs[0]): "pixels"}
    operators = {
        layers.Conv2D: "conv", layers.ReLU: "relu", layers.UpSampling2D: "enlarged", layers.Add: "sum",
    }  # fmt: skip
    counts = dict.fromkeys(operators, 0)

    for layer in model.layers[1:]:
        inputs = [names[id(tensor)] for tensor in as_list(layer.input)]
        kind = type(layer)
        if kind in counts:
            counts[kind] += 1
            output = f"{operators[kind]}{counts[kind]}"
        if kind is layers.ZeroPadding2D:
            output = inputs[0]  # the convolution that follows pads by itself
        elif kind is layers.Conv2D:
            norm = norm_after(layer)
            add_convolution(graph, layer, norm, inputs[0], output, counts[kind])
        elif kind is layers.BatchNormalization:
            output = inputs[0]
        elif kind is layers.ReLU:
            graph.add("Relu", inputs, output)
        elif kind is layers.UpSampling2D:
            scales = graph.constant(f"{output}_scales", [1, 1, *layer.size])
            graph.add("Resize", [*inputs, "", scales], output, mode="nearest", nearest_mode="floor",
                      coordinate_transformation_mode="asymmetric")  # fmt: skip
        elif kind is layers.Add:
            graph.add("Add", inputs, output)
        elif kind is layers.GlobalAveragePooling2D:
            graph.add("GlobalAveragePool", inputs, "pooled")
            output = graph.add("Flatten", ["pooled"], "features")
        elif kind is layers.Dense:
            kernel, bias = layer.get_weights()
            dense = [*inputs, graph.constant("dense_kernel", kernel), graph.constant("dense_bias", bias)]
            output = graph.add("Gemm", dense, "logits")
        else:
            raise TypeError(f"no translation for {kind.__name__}: add one here")
        names[id(layer.output)] = output
    return graph, [names[id(tensor)] for tensor in model.outputs]


def add_convolution(graph, layer, norm, source, output, index):
    """A convolution with its norm's gain and shift in its weights; one without a norm has a bias of its own."""
    if norm is None:
        kernel, bias = layer.get_weights()
        kernel = kernel.transpose(3, 2, 0, 1)
    else:
        gamma, beta, mean, variance = norm.get_weights()
        gain = gamma / np.sqrt(variance + norm.epsilon)
        kernel = layer.get_weights()[0].transpose(3, 2, 0, 1) * gain[:, None, None, None]
        bias = beta - mean * gain
    inputs = [source, graph.constant(f"kernel{index}", kernel), graph.constant(f"bias{index}", bias)]
    size = list(layer.kernel_size)
    pads = [side // 2 for side in size] * 2
    graph.add("Conv", inputs, output, kernel_shape=size, pads=pads, strides=list(layer.strides))


def norm_after(layer):
    followers = [node.operation for node in layer._outbound_nodes]
    return next((each for each in followers if isinstance(each, layers.BatchNormalization)), None)


def as_list(tensors):
    return tensors if isinstance(tensors, list) else [tensors]
