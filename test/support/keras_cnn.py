"""The reference CNN in Keras: trained a little, saved as a SavedModel, converted to TensorFlow.js, and asked.

Usage: keras_cnn.py <folder>. Writes there: saved/ (SavedModel), bytes/ (one that takes uint8 pixels), layers/ (TensorFlow.js layers model, by its own converter),
pictures.bin (uint8 [N,224,224,3]) and answers.json (Keras' probabilities for them, fed as pixel / 255).
"""

import json
import os
import sys
import types

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf

# The converter imports these for formats that are not asked for here, and they do not install beside this TensorFlow.
for name in ["tensorflow_decision_forests", "jax", "jax.experimental", "jax.experimental.jax2tf"]:
    sys.modules.setdefault(name, types.ModuleType(name))
from tensorflowjs.converters import save_keras_model

folder = sys.argv[1]
keras.utils.set_random_seed(7)
layers = keras.layers
model = keras.Sequential(
    [
        layers.Input((224, 224, 3)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
# Ten classes of noise, each about a colour of its own: enough to learn something of.
random = np.random.default_rng(7)
colors = random.integers(0, 256, (10, 3))
classes = np.arange(30) % 10
pixels = np.clip(colors[classes][:, None, None, :] + random.normal(0, 60, (30, 224, 224, 3)), 0, 255).astype("uint8")
model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pixels / 255.0, classes, batch_size=10, epochs=2, verbose=0)

model.export(os.path.join(folder, "saved"), verbose=False)
save_keras_model(model, os.path.join(folder, "layers"))


def serve(pixels):
    scores = model(tf.cast(pixels, tf.float32) / 255.0)
    return {"scores": scores, "best": tf.argmax(scores, axis=-1)}


# Pixels as bytes, scaled inside, and more answers and signatures than are read.
archive = keras.export.ExportArchive()
archive.track(model)
for name in ["serving_default", "other"]:
    archive.add_endpoint(name, serve, input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.uint8, name="pixels")])
archive.write_out(os.path.join(folder, "bytes"), verbose=False)
pixels[:12].tofile(os.path.join(folder, "pictures.bin"))
with open(os.path.join(folder, "answers.json"), "w") as file:
    json.dump(model.predict(pixels[:12] / 255.0, verbose=0).tolist(), file)
