#!/usr/bin/env python3
"""The image's health check: asks the worker of this container whether its loop turns. Exit code 0 if so, else 1."""

import os
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

SETTING = "STREAMMON_TELEMETRY__"

try:
    token = os.environ.get(SETTING + "TOKEN", "")
    if file := os.environ.get(SETTING + "TOKEN_FILE"):
        token = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    # Not by urllib, which would ask a proxy that the environment names.
    connection = HTTPConnection("127.0.0.1", int(os.environ[SETTING + "PORT"]), timeout=4)
    connection.request("GET", "/live", headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    print(answer.read(1000).decode(errors="replace"))
    sys.exit(answer.status != 200)
except (OSError, HTTPException) as problem:
    sys.exit(f"not asked: {problem}")
