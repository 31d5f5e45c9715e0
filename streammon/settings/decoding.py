"""What the decoder is made from: the plan's part of the section `input`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streammon.core.errors import UsageError
from streammon.settings.input import Input

CANONICAL_SCHEMA = "inference_event"


def decoding(settings: Input) -> str:
    """Canonical JSON, under the names of the decoder's parameters.

    Schemas as their content, in an order of their own: neither file names nor spaces change results.
    """
    if isinstance(settings.schemas, dict):
        schemas: Any = {number: _schema(path) for number, path in settings.schemas.items()}
    else:
        texts = {_canonical(_schema(path)) for path in settings.schemas or _own_schemas(settings.framing)}
        schemas = [json.loads(text) for text in sorted(texts)]
    return _canonical(
        {
            "framing": settings.framing,
            "mapping": {field: path for field, path in settings.mapping.items() if path != field},  # it is there anyway
            "max_record_bytes": settings.max_record_bytes,
            "schemas": schemas,
            "defaults": settings.defaults,
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
    except (ValueError, RecursionError):  # the latter: brackets in brackets without end
        raise UsageError(f"input.schemas: {path} is not JSON, which an Avro schema is") from None


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
