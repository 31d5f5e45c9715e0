"""The section `input` of the settings: what the bytes of the input are, and which fields are read from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from streammon.adapters.avro.columns import EVENT_COLUMNS, Constant
from streammon.adapters.avro.paths import parse_path
from streammon.core import events
from streammon.settings.kinds import Count
from streammon.settings.problems import Place, Problems, unknown
from streammon.settings.section import Section

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


class Input(Section):
    framing: Literal["single_object", "confluent", "raw"] = "single_object"
    schemas: Schemas = ()
    mapping: Columns = Field(default_factory=dict)
    defaults: Constants = Field(default_factory=dict)
    max_record_bytes: Count = 1_048_576
    pause_when_undecodable: bool = True  # no part of the plan: it says when records are read, not what comes of them

    @model_validator(mode="after")
    def _schemas_fit_the_framing(self) -> Self:
        problem = None
        if self.framing == "raw" and len(self.schemas) > 1:
            problem = "raw records do not say their schema: name one, or use framing single_object"
        elif self.framing == "confluent" and not (self.schemas and isinstance(self.schemas, dict)):
            problem = 'confluent records name their schema by its id: map ids to files, as in {"17": prediction.avsc}'
        elif self.framing != "confluent" and isinstance(self.schemas, dict):
            problem = f"{self.framing} records name no ids: list the files, or use framing confluent"
        if problem:
            raise Problems((("schemas",), problem))
        return self
