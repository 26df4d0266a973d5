"""A picture classifier as a team would write it with FastAPI, for scale: a picture as base64 in JSON, Pillow, ONNX Runtime in
FastAPI's thread pool, the five best labels. No tenants, no booking, no batches, no limits. `bench/baselines.ts` starts it.
"""

import base64
import io
import json
import socket
import sys
from contextlib import asynccontextmanager

import anyio.to_thread
import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel

settings = json.loads(sys.argv[1])
size = (settings["width"], settings["height"])
with open(settings["labels"], encoding="utf-8") as file:
    labels = file.read().rstrip("\n").split("\n")

options = ort.SessionOptions()
if settings["threads"] is not None:
    options.intra_op_num_threads = settings["threads"]
session = ort.InferenceSession(settings["graph"], options, providers=["CPUExecutionProvider"])
input_name = session.get_inputs()[0].name


class Question(BaseModel):
    image: str


@asynccontextmanager
async def bounded_threads(_app: FastAPI):
    if settings["inFlight"] is not None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings["inFlight"]
    yield


app = FastAPI(lifespan=bounded_threads)


@app.post("/classify")
def classify(question: Question):
    picture = Image.open(io.BytesIO(base64.b64decode(question.image))).convert("RGB")
    pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)
    scores = session.run(None, {input_name: pixels[np.newaxis]})[0][0]
    if settings["isLogits"]:
        powers = np.exp(scores - scores.max())
        scores = powers / powers.sum()
    best = np.argsort(-scores)[:5]
    return {"labels": [{"label": labels[index], "score": float(scores[index])} for index in best]}


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
