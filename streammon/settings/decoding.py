"""What the settings say of the input's bytes: schemas, mapping, defaults; and what the decoder is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from streammon.adapters.avro_columns import EVENT_COLUMNS, Constant
from streammon.adapters.avro_paths import parse_path
from streammon.core import events
from streammon.core.errors import UsageError
from streammon.settings.problems import Place, Problems, unknown

if TYPE_CHECKING:
    from streammon.settings.model import Input

CANONICAL_SCHEMA = "inference_event"
LISTS = (*events.LISTS, *events.STRING_LISTS)
FIELDS = (*events.INTS, *events.FLOATS, *events.STRINGS, *LISTS)


def _schemas(value: Any) -> tuple[Path, ...] | dict[str, Path]:
    """A file, several, or a mapping of a registry's ids to files."""
    if isinstance(value, str | Path):
        value = (value,)
    found: list[tuple[Place, str]] = []
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if _is_list(value) else None
    if pairs is None:
        raise ValueError("should be a list of files, or a mapping of ids to files")
    for name, path in pairs:
        if isinstance(name, str) and not (name.isascii() and name.isdecimal() and str(int(name[:11])) == name):
            found.append(((name,), "should be the schema's id in the registry, a whole number"))
        elif not isinstance(path, str | Path) or not str(path):
            found.append(((name,), "should be a path"))
        elif not Path(path).is_file():
            found.append(((name,), f"there is no file {path}"))
    if found:
        raise Problems(*found)
    if isinstance(value, Mapping):
        return {name: Path(path) for name, path in value.items()}
    return tuple(Path(path) for path in value)


def _columns(value: Any) -> dict[str, str | tuple[str, ...] | None]:
    """A mapping of canonical fields to paths in the writer's schema; null: not to be read, whatever has its name."""
    if not isinstance(value, Mapping):
        raise ValueError("should be a mapping of fields to paths, one `field: path` per line")
    found: list[tuple[Place, str]] = []
    for field, path in value.items():
        many = _is_list(path)
        if field not in FIELDS:
            found.append(((field,), unknown(field, FIELDS, "field")))
        elif many and field not in LISTS:
            found.append(((field,), "takes one path: only " + ", ".join(LISTS) + " may be put together from several"))
        elif path is None:
            continue
        elif not (path and all(isinstance(part, str) and part for part in (path if many else [path]))):
            found.append(((field,), "should be a path such as request.age, or a list of them"))
        else:
            found += [((field,), problem) for part in (path if many else [path]) if (problem := _path_problem(part))]
    if found:
        raise Problems(*found)
    return {field: tuple(path) if _is_list(path) else path for field, path in value.items()}


def _constants(value: Any) -> dict[str, Constant]:
    """A mapping of canonical fields to what they are where the writer's schema lacks them."""
    if not isinstance(value, Mapping):
        raise ValueError("should be a mapping of fields to constants, one `field: constant` per line")
    found: list[tuple[Place, str]] = []
    for field, constant in value.items():
        problem = (
            EVENT_COLUMNS.constant_problem(field, constant) if field in FIELDS else unknown(field, FIELDS, "field")
        )
        if problem:
            found.append(((field,), problem))
    if found:
        raise Problems(*found)
    return {field: float(one) if field in events.FLOATS else one for field, one in value.items()}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _path_problem(path: str) -> str | None:
    try:
        parse_path(path)
    except ValueError as problem:
        return str(problem)
    return None


Schemas = Annotated[tuple[Path, ...] | dict[str, Path], BeforeValidator(_schemas)]
Columns = Annotated[dict[str, str | tuple[str, ...] | None], BeforeValidator(_columns)]
Constants = Annotated[dict[str, Constant], BeforeValidator(_constants)]


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
