"""/metrics, /live and /ready."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from prometheus_client.exposition import choose_encoder

from streammon.telemetry.health import Health
from streammon.telemetry.metrics import Metrics
from streammon.telemetry.server import Page, Pages


def pages(metrics: Metrics, health: Health) -> Pages:
    """What the endpoint shows, made anew at each request, from what the loop has reported."""

    def exposition(accept: str) -> Page:
        encode, content_type = choose_encoder(accept)
        return Page(HTTPStatus.OK, content_type, encode(metrics.registry))

    return {
        "/metrics": exposition,
        "/live": lambda _: _answer("live", health.liveness()),
        "/ready": lambda _: _answer("ready", health.readiness()),
    }


def _answer(question: str, found: dict[str, Any]) -> Page:
    status = HTTPStatus.OK if found[question] else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, "application/json", json.dumps(found).encode() + b"\n")
