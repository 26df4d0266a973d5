"""What Triton's own client finds at a worker, as one JSON object on standard output.

Usage: triton_client.py <host:port> <token> <SHA-256 of the model `mean`> <SHA-256 of the model `slow`>
"""

import json
import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

address, token, mean, slow = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}"}
client = triton.InferenceServerClient(address, concurrency=8)
pixels = numpy.array(
    [[[[8, 20, 30], [12, 20, 30]], [[10, 20, 30], [10, 20, 30]]], [[[1, 2, 3]] * 2] * 2], numpy.uint8
)


def images(binary=True):
    tensor = triton.InferInput("images", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    return tensor


def rounds(count):
    tensor = triton.InferInput("rounds", [1], "INT64")
    tensor.set_data_from_numpy(numpy.array([count], numpy.int64))
    return tensor


def error_of(call):
    try:
        call()
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def means(model="mean", inputs=None, **more):
    # It writes into the headers that it is given.
    result = client.infer(model, inputs or [images()], headers=dict(headers), **more)
    found = result.as_numpy("means")
    return {"id": result.get_response().get("id"), "dtype": str(found.dtype), "means": found.tolist()}


def config(sha256):
    return json.dumps({"name": "any", "parameters": {"sha256": {"string_value": sha256}}})


def wanted(binary):
    return [triton.InferRequestedOutput("means", binary_data=binary)]


found = {"unauthorized": error_of(client.get_server_metadata), "live": client.is_server_live()}
found["ready"] = client.is_server_ready(headers=headers)
found["server"] = client.get_server_metadata(headers=headers)

client.load_model("mean", headers=headers, config=config(mean))
client.load_model("slow", headers=headers, config=config(slow))
found["model_ready"] = [
    client.is_model_ready("mean", headers=headers),
    client.is_model_ready("mean", "1", headers=headers),
    client.is_model_ready("none", headers=headers),
]
found["model"] = client.get_model_metadata("mean", headers=headers)

found["binary"] = means()
found["json"] = means(inputs=[images(binary=False)], outputs=wanted(False), request_id="r-1")
found["binary_in_json_out"] = means(outputs=wanted(False))
found["json_in_binary_out"] = means(inputs=[images(binary=False)], outputs=wanted(True))
found["packed"] = means(request_compression_algorithm="gzip", response_compression_algorithm="deflate")
found["version"] = means(model_version="1")

found["scheduled"] = means(priority=1, timeout=60_000_000)
found["bad_priority"] = error_of(lambda: means(priority=1_000))
found["bad_output"] = error_of(lambda: means(outputs=[triton.InferRequestedOutput("boxes")]))
found["none"] = error_of(lambda: means(model="none"))

# Where the engine is busy a microsecond has passed before a turn comes; asked before that, it is run.
ROUNDS = 500_000
running = [client.async_infer("slow", [images(), rounds(ROUNDS)], headers=dict(headers)) for _ in range(5)]
found["in_time"] = 0
while (late := error_of(lambda: means(timeout=1))) is None and found["in_time"] < 100:
    found["in_time"] += 1
found["late"] = late
found["slow"] = [each.get_result().as_numpy("counted").tolist() == [ROUNDS] for each in running]

found["statistics"] = client.get_inference_statistics("mean", headers=headers)
found["index"] = client.get_model_repository_index(headers=headers)
client.unload_model("mean", headers=headers)
client.unload_model("none", headers=headers)
found["unloaded"] = [client.is_model_ready("mean", headers=headers), client.get_model_repository_index(headers=headers)]
client.load_model("mean", headers=headers)
found["again"] = means()
print(json.dumps(found))
