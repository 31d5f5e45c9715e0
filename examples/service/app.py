"""A service that tells streammon about each of its predictions: Starlette, and a small torch model that reads digits.

    pip install 'streammon[simulate]' starlette uvicorn
    BROKER=localhost:9092 uvicorn --app-dir examples/service app:app
    curl -s localhost:8000/sample | curl -s localhost:8000/predict -H 'x-user: anna' --data-binary @-

What a service of your own takes from here: `events`, the middleware, and `request.state.inference.set`. The policy
examples/digits.yaml watches this very model. docs/producing.md tells the rest.
"""

import os
import random
from uuid import uuid4

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streammon.sdk import EventProducer
from streammon.sdk.asgi import InferenceMiddleware
from streammon.simulate.images import load_scans, summarise
from streammon.simulate.network import Network

training, unseen = load_scans(seed=7)
network = Network(training, seed=7)  # a second of training; yours is loaded here

# Connects with the first event, in a thread of its own: the service starts, and answers, without a broker too. What is
# queued when the process ends is flushed (for 5 s at most).
events = EventProducer(
    os.environ.get("BROKER", "localhost:9092"),
    model_id="digits-0",
    model_version="1",
    lane=os.environ.get("LANE", "prod"),
    # A secret of at least 16 bytes, the same in all replicas. Without one, user ids are dropped.
    user_key=os.environ.get("USER_KEY", "").encode() or None,
)


async def predict(request: Request) -> Response:
    try:
        pixels = np.array((await request.json())["pixels"], np.float32).reshape(1, 64)
    except (KeyError, TypeError, ValueError):
        # Logged too, with its status: /predict is among the paths of the middleware.
        return JSONResponse({"error": "send {'pixels': [64 numbers from 0 to 1]}"}, status_code=400)
    # In a thread: in the event loop it would hold up every other request, and so all of their latencies.
    inference = await run_in_threadpool(network.infer, pixels)
    probs = inference.probs[0]
    digit = int(probs.argmax())
    req_id = request.headers.get("x-request-id") or uuid4().hex
    # Latency and status come from the middleware.
    request.state.inference.set(
        req_id=req_id,
        user_id=request.headers.get("x-user"),
        features=summarise(pixels)[0],  # 16 numbers that tell what the image is like, in the order of the policy
        prediction=str(digit),
        score=probs[digit],
        probs=probs,
        embedding=inference.embedding[0],
    )
    return JSONResponse({"req_id": req_id, "digit": digit, "probability": float(probs[digit])})


async def label(request: Request) -> Response:
    """The truth, when somebody knows it: hours later, perhaps."""
    said = await request.json()
    events.log_label(said["req_id"], str(said["digit"]))
    return Response(status_code=202)


async def sample(request: Request) -> Response:
    """An image to try it with."""
    return JSONResponse({"pixels": random.choice(unseen.pixels).tolist()})


async def health(request: Request) -> Response:
    """Sets nothing, so the middleware logs nothing. Events that were dropped are worth a look, not a restart."""
    return JSONResponse({"events": events.stats()._asdict()})


app = Starlette(
    routes=[
        Route("/predict", predict, methods=["POST"]),
        Route("/label", label, methods=["POST"]),
        Route("/sample", sample),
        Route("/health", health),
    ],
    middleware=[Middleware(InferenceMiddleware, events=events, paths=["/predict"])],
)
