"""Where each column of events comes from in a writer's schema, for people: what is filled, and what could be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streammon.adapters.avro.columns import EVENT_COLUMNS, Defaults
from streammon.adapters.avro.fit import misfit
from streammon.adapters.avro.paths import joined
from streammon.adapters.avro.schema import AvroSchema, Type
from streammon.adapters.avro.wants import FieldMapping, wanted

MAX_PATHS = 2_000  # of one schema that are looked at


def sources(schema: AvroSchema, mapping: FieldMapping, defaults: Defaults) -> Mapping[str, str]:
    """By column, the paths that fill it, or its default. What is missing stays null."""
    found: dict[str, str] = {}
    for want in wanted(EVENT_COLUMNS, mapping).wants:
        if misfit(schema.type, want, EVENT_COLUMNS) is None:
            name = want.target.name
            found[name] = f"{found[name]}, {want.target.path}" if name in found else want.target.path
    return {**{name: f"default {value!r}" for name, value in defaults.items()}, **found}


def fits(schema: AvroSchema, column: str, path: str | tuple[str, ...]) -> bool:
    """Whether the schema has at this path (at all of these) what the column takes."""
    wants = [want for want in wanted(EVENT_COLUMNS, {column: path}).wants if want.target.name == column]
    return all(misfit(schema.type, want, EVENT_COLUMNS) is None for want in wants)


def clashes(schema: AvroSchema, column: str) -> bool:
    """Whether there is a field of the column's name that the column cannot take: map it, if only to null."""
    wants = [want for want in wanted(EVENT_COLUMNS, {}).wants if want.target.name == column]
    found = [misfit(schema.type, want, EVENT_COLUMNS) for want in wants]
    return any(each is not None and not each.lacks for each in found)


def paths(schema: AvroSchema) -> list[str]:
    """Paths of the fields that are no records, in the schema's order; those inside arrays and maps are left out."""
    return [path for path, _ in zip(_paths(schema.type, ""), range(MAX_PATHS), strict=False)]


def _paths(type_: Type, path: str) -> Iterator[str]:
    if type_.kind == "union":
        parts = [part for part in type_.parts if part.kind == "record"]
        for part in parts:
            yield from _paths(part, path)
        if len(parts) < sum(part.kind != "null" for part in type_.parts):
            yield path
    elif type_.kind == "record":
        for name, part in zip(type_.names, type_.parts, strict=True):
            yield from _paths(part, joined(path, name))
    else:
        yield path
