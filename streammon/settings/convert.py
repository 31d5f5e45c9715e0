"""Settings, turned into what others work with: the plan, options of the Kafka client, YAML to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from streammon.core.baseline import Layout
from streammon.core.errors import UsageError
from streammon.core.plan import ModelShape, Plan, Policy
from streammon.settings.durations import microseconds
from streammon.settings.model import Settings

CANONICAL_SCHEMA = "inference_event"


def plan(settings: Settings, topic: str | None = None) -> Plan:
    """What changes results, in a form that does not depend on how it was written.

    `topic` is the input when it is not the one of the settings (a recorded file knows its own).
    """
    return Plan(
        topic=settings.topics.events if topic is None else topic,
        windows=tuple(sorted(settings.windows)),
        allowed_lateness=microseconds(settings.allowed_lateness),
        idle_grace=microseconds(settings.idle_grace),
        max_future_skew=microseconds(settings.max_future_skew),
        models=tuple(  # in the order of the settings: the first that matches counts
            ModelShape(model.match, Layout(model.features, model.classes, model.embedding)) for model in settings.models
        ),
        decoding=_decoding(settings),
        policy=Policy(tuple(sorted(settings.rules, key=lambda rule: rule.id))),
    )


def kafka_options(settings: Settings) -> dict[str, Any]:
    """The user's options as librdkafka takes them. Secrets are in clear text here, and nowhere else."""
    return {name: _option(value) for name, value in settings.kafka.items()}


def dump(settings: Settings) -> str:
    """All settings, defaults included, as YAML that `load` reads. Secrets are masked."""
    data = settings.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def _option(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else value


def _decoding(settings: Settings) -> str:
    """Canonical JSON, under the names of the decoder's parameters.

    Schemas as their content, in an order of their own: neither file names nor spaces change results.
    """
    schemas = {_canonical(_schema(path)) for path in settings.input.schemas or _own_schemas(settings.input.framing)}
    mapping = {field: path for field, path in settings.input.mapping.items() if path != field}  # where it is anyway
    return _canonical(
        {
            "framing": settings.input.framing,
            "mapping": mapping,
            "max_record_bytes": settings.input.max_record_bytes,
            "schemas": [json.loads(schema) for schema in sorted(schemas)],
        }
    )


def _own_schemas(framing: str) -> list[Path]:
    """The canonical schema; with its older versions, where a record says which one it has."""
    from streammon.adapters.schema_files import schema_directory  # imports fastavro, which `--help` need not wait for

    directory = schema_directory()
    older = () if framing == "raw" else (directory / "history").glob(f"{CANONICAL_SCHEMA}.*.avsc")
    return [directory / f"{CANONICAL_SCHEMA}.avsc", *older]


def _schema(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"input.schemas: {path} cannot be read ({error.strerror})") from None
    except ValueError:
        raise UsageError(f"input.schemas: {path} is not JSON, which an Avro schema is") from None


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
