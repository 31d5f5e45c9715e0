"""Aggregates. To add one: one file like `traffic.py`, one line in AGGREGATES; the law suites test it at once."""

from streammon.core.aggregates.base import Aggregate
from streammon.core.aggregates.duplicates import Duplicates
from streammon.core.aggregates.histogram import Histogram
from streammon.core.aggregates.latency import Latency
from streammon.core.aggregates.moments import Moments
from streammon.core.aggregates.prediction import Prediction
from streammon.core.aggregates.traffic import Traffic

AGGREGATES: tuple[Aggregate, ...] = (
    Traffic(),
    Duplicates(),
    Latency(),
    Moments(),
    Histogram(),
    Prediction(),
)
"""Their measurements are published in this order, family by family."""
