"""Inference events in a topic, decoded by fastavro alone."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader

from tests.broker.kafka_tools import read_all
from tests.examples.commands import ROOT


def events_of(bootstrap: str, topic: str, schema: str = "inference_event") -> list[dict[str, Any]]:
    """In the order of partitions and offsets; times in microseconds. The single-object header is taken off."""
    definition = json.loads((ROOT / "schemas" / f"{schema}.avsc").read_text(encoding="utf-8"))
    definition["fields"][0]["type"] = "long"  # ts, without its logical type
    parsed = parse_schema(definition)
    values = [record.value for record in read_all(bootstrap, topic, "read_uncommitted")]
    return [schemaless_reader(BytesIO(value[10:]), parsed, None) for value in values if value]  # type: ignore[misc]
