"""TensorFlow Serving's two interfaces over models that TensorFlow itself runs: protobufs of the package tensorflow-serving-api,
a gRPC server of grpcio, an HTTP server of the standard library. It shares no code with what is tested.

    tensorflow-serving-like.py <folder of models> <pictures.npy>

Makes a Keras network, saves it as `keras-net` version 1 into the folder, and serves all that lies there. Writes one line of JSON:
the ports, and what Keras answers to the pictures when it is asked directly. Ends when its standard input does.
"""

import http.server
import json
import os
import pathlib
import re
import sys
import threading
from concurrent import futures

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
folder = pathlib.Path(sys.argv[1])
line = os.dup(1)
os.dup2(2, 1)  # Keras tells on standard output what it exports.

import grpc
import keras
import numpy as np
import tensorflow as tf
from google.protobuf import any_pb2, json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def make_network(height, width):
    keras.utils.set_random_seed(7)
    network = keras.Sequential([
        keras.layers.Input((height, width, 3)),
        keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(4),
    ])
    network.export(str(folder / "keras-net" / "1"))
    return network


class Mask(tf.Module):
    """Two outputs, the larger one of 400 kB: what is red and what is not, and the picture's mean."""

    @tf.function(input_signature=[tf.TensorSpec([1, 3, 224, 224], tf.float32, name="x")])
    def run(self, x):
        red = x[:, 0] - (x[:, 1] + x[:, 2]) / 2
        return {"logits": tf.stack([tf.zeros_like(red) + 0.5, red], axis=1), "mean": tf.reduce_mean(x, [1, 2, 3])}


class Silent(tf.Module):
    """A function that answers nothing."""

    @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32, name="x")])
    def run(self, x):
        return {}


def save(name, module):
    tf.saved_model.save(module, str(folder / name / "1"), signatures={"asked_for": module.run})


class Models:
    def __init__(self):
        self.loaded = {}
        for path in folder.glob("*/*/saved_model.pb"):
            saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
            functions = tf.saved_model.load(str(path.parent))
            key = (path.parent.parent.name, int(path.parent.name))
            self.loaded[key] = (functions, dict(saved.meta_graphs[0].signature_def))

    def find(self, name, version):
        if (name, version) not in self.loaded:
            raise KeyError(f"Servable not found for request: Specific({name}, {version})")
        return self.loaded[name, version]

    def run(self, name, version, signature, feed, wanted=()):
        functions, signatures = self.find(name, version)
        if signature not in signatures:
            raise ValueError(f'Serving signature key "{signature}" not found.')
        spec = signatures[signature].inputs
        (only,) = spec
        (value,) = [feed[only]] if isinstance(feed, dict) else [feed]
        dtype = tf.dtypes.as_dtype(spec[only].dtype)
        answer = functions.signatures[signature](**{only: tf.constant(np.asarray(value), dtype=dtype)})
        return {key: tensor.numpy() for key, tensor in answer.items() if not wanted or key in wanted}


def answer_or_abort(context, work):
    try:
        return work()
    except KeyError as error:
        context.abort(grpc.StatusCode.NOT_FOUND, error.args[0])
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models):
        self.models = models

    def Predict(self, request, context):
        def work():
            spec = request.model_spec
            feed = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            outputs = self.models.run(
                spec.name, spec.version.value, spec.signature_name or "serving_default", feed, request.output_filter
            )
            response = predict_pb2.PredictResponse()
            for name, array in outputs.items():
                tensor = tf.make_tensor_proto(array)
                if name != "logits":  # As TensorFlow Serving sends them by default: number by number.
                    tensor.ClearField("tensor_content")
                    tensor.float_val[:] = array.flatten().tolist()
                response.outputs[name].CopyFrom(tensor)
            return response

        return answer_or_abort(context, work)

    def GetModelMetadata(self, request, context):
        def work():
            _, signatures = self.models.find(request.model_spec.name, request.model_spec.version.value)
            map_ = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in signatures.items():
                map_.signature_def[name].CopyFrom(signature)
            packed = any_pb2.Any()
            packed.Pack(map_)
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=request.model_spec)
            response.metadata["signature_def"].CopyFrom(packed)
            return response

        return answer_or_abort(context, work)


class Status(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models):
        self.models = models

    def GetModelStatus(self, request, context):
        def work():
            self.models.find(request.model_spec.name, request.model_spec.version.value)
            response = get_model_status_pb2.GetModelStatusResponse()
            entry = response.model_version_status.add()
            entry.version = request.model_spec.version.value
            entry.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
            return response

        return answer_or_abort(context, work)


def rest_handler(models):
    class Rest(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, answer):
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def answer(self, work):
            try:
                self.reply(200, work())
            except KeyError as error:
                self.reply(404, {"error": error.args[0]})
            except (ValueError, tf.errors.InvalidArgumentError) as error:
                self.reply(400, {"error": str(error)})

        def place(self):
            match = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata|:predict)?", self.path)
            if not match:
                raise KeyError("no such path")
            return match.group(1), int(match.group(2) or 1), match.group(3)

        def do_GET(self):
            def work():
                name, version, what = self.place()
                _, signatures = models.find(name, version)
                if what is None:
                    ok = {"error_code": "OK", "error_message": ""}
                    return {"model_version_status": [{"version": str(version), "state": "AVAILABLE", "status": ok}]}
                map_ = get_model_metadata_pb2.SignatureDefMap()
                for key, signature in signatures.items():
                    map_.signature_def[key].CopyFrom(signature)
                told = json_format.MessageToDict(
                    map_, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
                )
                spec = {"name": name, "signature_name": "", "version": str(version)}
                return {"model_spec": spec, "metadata": {"signature_def": told}}

            self.answer(work)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))

            def work():
                name, version, _ = self.place()
                question = json.loads(body)
                outputs = models.run(
                    name, version, question.get("signature_name", "serving_default"), question["instances"]
                )
                if len(outputs) == 1:
                    (only,) = outputs.values()
                    return {"predictions": only.tolist()}
                rows = zip(*(array.tolist() for array in outputs.values()))
                return {"predictions": [dict(zip(outputs, row)) for row in rows]}

            self.answer(work)

    return Rest


def main():
    pictures = np.load(sys.argv[2])
    network = make_network(*pictures.shape[1:3])
    save("red-mask", Mask())
    save("silent", Silent())
    models = Models()

    server = grpc.server(
        futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Status(models), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), rest_handler(models))
    threading.Thread(target=rest.serve_forever, daemon=True).start()

    told = {"grpc": port, "rest": rest.server_port, "predictions": network.predict(pictures, verbose=0).tolist()}
    os.write(line, (json.dumps(told) + "\n").encode())
    sys.stdin.read()
    os._exit(0)


main()
