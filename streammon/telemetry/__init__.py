"""What the worker says about itself. What it publishes about models are metric events.

names.py         every operational name once: events of the log, metrics of the endpoint
logs.py          the log: lines, formats            log_observer.py  what the loop does, as lines of the log
metrics.py       ... as metrics                      health.py        ... as answers: alive? ready?
endpoint.py      /metrics, /live, /ready             server.py        the HTTP server below them
observers.py     several observers as one
"""

from streammon.telemetry.endpoint import pages
from streammon.telemetry.health import Health
from streammon.telemetry.log_observer import LogObserver
from streammon.telemetry.logs import LOGGER, log, set_up
from streammon.telemetry.metrics import Metrics
from streammon.telemetry.names import Event, Metric
from streammon.telemetry.observers import Observers
from streammon.telemetry.server import Server, listen

__all__ = [
    "LOGGER",
    "Event",
    "Health",
    "LogObserver",
    "Metric",
    "Metrics",
    "Observers",
    "Server",
    "listen",
    "log",
    "pages",
    "set_up",
]
