"""What other people's services import: the producer of inference events, the consumer of alerts. Light and harmless.

asgi ─► call ─► producer ─► encoding (arrays, masks) ─► delivery (options, complaints) ─► Kafka
alerts ◄─ consumer (once per process, typed) ◄─ topic_reader (group, positions) ◄─ Kafka
"""

from streammon.core.errors import Refusal, Unreachable, UsageError
from streammon.core.outputs import AlertEvent, Measurement, MetricEvent, Series
from streammon.sdk.alerts import AlertConsumer, MetricConsumer
from streammon.sdk.call import Call
from streammon.sdk.delivery import Stats
from streammon.sdk.encoding import Fields
from streammon.sdk.producer import EventProducer

__all__ = [
    "AlertConsumer",
    "AlertEvent",
    "Call",
    "EventProducer",
    "Fields",
    "Measurement",
    "MetricConsumer",
    "MetricEvent",
    "Refusal",
    "Series",
    "Stats",
    "Unreachable",
    "UsageError",
]
