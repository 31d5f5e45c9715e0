"""`streammon check`: what settings mean, in words and numbers. Asks no broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from streammon import assembly
from streammon.adapters.avro.columns import EVENT_COLUMNS
from streammon.adapters.avro.sources import sources
from streammon.core.baseline import Baseline, Layout
from streammon.core.memory import pane_bytes, state_bytes
from streammon.core.outputs import Rollup, WindowSpec
from streammon.core.plan import Plan
from streammon.core.rules import Rule
from streammon.settings import Settings, plan
from streammon.settings.durations import duration_text, microseconds, window_text

COMMON = {field.name for field in fields(Rule)}  # of all kinds; the rest are a kind's own numbers
OF_BASELINES = (
    ".ks",
    ".psi",
    ".psi_excess",
    ".kl",
    ".js",
    "_ks",
    "_psi",
    "_psi_excess",
    "_kl",
    "_js",
    "out_of_range_rate",
)
ROLLUPS = {
    Rollup.LANES: "all lanes of a version",
    Rollup.VERSIONS: "all versions of a model in a lane",
    Rollup.MODEL: "all of a model",
}
EVERY_COLUMN = (
    *EVENT_COLUMNS.ints,
    *EVENT_COLUMNS.floats,
    *EVENT_COLUMNS.strings,
    *EVENT_COLUMNS.lists,
    *EVENT_COLUMNS.string_lists,
)


def outline(settings: Settings, series: int | None = None) -> dict[str, Any]:
    """Everything that follows from the settings, for `--json`. `series` per partition for the memory; None: the cap.

    Durations are in microseconds. Raises UsageError where the settings cannot be worked with.
    """
    the_plan = plan(settings)
    decoder = assembly.decoder(the_plan)
    baselines = assembly.baselines(settings.baselines, the_plan)
    decoding = json.loads(the_plan.decoding)
    filled = [
        (schema.name, sources(schema, decoding["mapping"], decoding.get("defaults") or {}))
        for schema in decoder.schemas
    ]
    return {
        "group": settings.group,
        "topic": the_plan.topic,
        "framing": decoding["framing"],
        "max_record_bytes": decoding["max_record_bytes"],
        "schemas": [_schema(name, columns) for name, columns in filled],
        "allowed_lateness": the_plan.allowed_lateness,
        "late_topic": settings.topics.late,
        "idle_grace": the_plan.idle_grace,
        "idle_timeout": microseconds(settings.idle_timeout),
        "expire_after": the_plan.expire_after,
        "max_future_skew": the_plan.max_future_skew,
        "pane_width": the_plan.pane_width,
        "windows": [_window(the_plan, spec) for spec in the_plan.windows],
        "rollups": list(the_plan.rollups),
        "empty_windows": the_plan.empty_windows,
        "models": [{"match": shape.match, **_layout(shape.layout)} for shape in the_plan.models],
        "baselines": [_baseline(baseline) for baseline in baselines.values()],
        "rules": [_rule(rule, the_plan, bool(baselines)) for rule in the_plan.policy.rules],
        "memory": _memory(the_plan, baselines, series),
        "hashes": {"plan": the_plan.hash, "policy": the_plan.policy.hash},
    }


def problems(values: Mapping[str, Any]) -> list[str]:
    """What is allowed and cannot be meant."""
    return [
        f"schema {schema['name']}: {name} comes from nowhere, so every record would be a dead letter (MISSING): map it"
        for schema in values["schemas"]
        for name in sorted(EVENT_COLUMNS.required & set(schema["null"]))
    ]


def text(values: Mapping[str, Any]) -> str:
    """For people."""
    lines = [
        f"input      {values['topic']}, group {values['group']}, framing {values['framing']}, records up to "
        f"{values['max_record_bytes']:,} bytes"
    ]
    for schema in values["schemas"]:
        own = [name for name, path in schema["filled"].items() if path == name]
        lines.append(f"  schema   {schema['name']}")
        lines += [f"    {name}: {path}" for name, path in schema["filled"].items() if path != name]
        lines += [f"    by their own names: {', '.join(own)}"] * bool(own)
        lines += [f"    null: {', '.join(schema['null'])}"] * bool(schema["null"])
    lateness = span(values["allowed_lateness"])
    lines.append(f"windows    made of panes of {span(values['pane_width'])}, in event time, aligned to the epoch")
    width = max(8, *(len(window["window"]) for window in values["windows"]))
    for window in values["windows"]:
        lines.append(
            f"  {window['window']:{width}} {number(window['panes'], 'pane')}; {window['closes']}{_for(window)}"
        )
    lines += _list("rollups", [f"{name}: {ROLLUPS[name]}" for name in values["rollups"]], "none")
    empty = "are not published"
    if values["empty_windows"]:
        empty = f"are published: {values['empty_windows']:,} at most behind each that has some"
    copied = f"; a copy goes to {values['late_topic']}" if values["late_topic"] else ""
    lines += [
        f"empty      windows without events {empty}",
        f"late       an event whose pane ended {lateness} or more before its clock: in no window, counted{copied}",
        f"idle       a series silent for {span(values['idle_grace'])} in a partition that goes on follows it",
        f"silent     a partition without records for {span(values['idle_timeout'])} of wall time closes its windows",
        f"expired    a series {span(values['expire_after'])} behind its partition's progress frees its place",
        f"future     an event {span(values['max_future_skew'])} ahead of its record's timestamp is a dead letter",
    ]
    lines += _list("models", [_model_text(model) for model in values["models"]], "no dimensions declared")
    lines += _list("baselines", [_baseline_text(each) for each in values["baselines"]], "none: no drift tests")
    lines += _list("rules", [f"{rule['id']}: {rule['text']}" for rule in values["rules"]], "none: no alerts")
    memory = values["memory"]
    rolled = f" + {memory['rollups']:,} roll-ups" if memory["rollups"] else ""
    lines += [
        f"memory     {size_text(memory['bytes'])} a partition: {memory['series']:,} series (and `__other__`){rolled} x "
        f"{number(memory['live_panes'], 'live pane')} x {size_text(memory['pane_bytes'])}, at most",
        f"hashes     plan {values['hashes']['plan']}, policy {values['hashes']['policy']}",
    ]
    return "\n".join(lines)


def _list(name: str, items: list[str], otherwise: str) -> list[str]:
    return [f"{name:10} {otherwise}"] if not items else [name, *(f"  {item}" for item in items)]


def _schema(name: str, columns: Mapping[str, str]) -> dict[str, Any]:
    filled = {column: columns[column] for column in EVERY_COLUMN if column in columns}
    return {"name": name, "filled": filled, "null": [column for column in EVERY_COLUMN if column not in columns]}


def _window(the_plan: Plan, spec: WindowSpec) -> dict[str, Any]:
    lateness = span(the_plan.allowed_lateness)
    return {
        "window": window_text(spec),
        "size": spec.size,
        "slide": spec.slide,
        "offset": spec.offset,
        "panes": spec.size // the_plan.pane_width,
        "closes": f"closes {lateness} after its end, by its series' clock",
        "only_for": [
            {"model": scope.model, "version": scope.version, "lane": scope.lane}
            for scope in the_plan.scopes
            if scope.window == spec
        ],
    }


def _for(window: Mapping[str, Any]) -> str:
    """Which series a window is for, where it is not for all."""
    said = [", ".join(f"{key} {text}" for key, text in each.items() if text != "*") for each in window["only_for"]]
    return f"; only for {' or '.join(said)}" if said else ""


def _layout(layout: Layout) -> dict[str, Any]:
    return {"features": list(layout.features), "classes": list(layout.classes), "embedding": layout.embedding}


def _model_text(model: Mapping[str, Any]) -> str:
    return f"model_id {model['match']}: {_dimensions(model)}"


def _dimensions(values: Mapping[str, Any]) -> str:
    known = [number(len(values["features"]), "feature"), number(len(values["classes"]), "class", "classes")]
    return ", ".join([*known, f"embedding of {values['embedding']}"] if values["embedding"] else known)


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {
        "id": baseline.baseline_id,
        "model_id": baseline.model_id,
        "model_version": baseline.model_version,
        "n": baseline.n,
        **_layout(baseline.layout),
        "effective": "from the beginning in a new group, else from the first pane after the latest event of its model",
    }


def _baseline_text(values: Mapping[str, Any]) -> str:
    model = f"{values['model_id']} {values['model_version']}".strip()
    dimensions = _dimensions(values)
    return f"{values['id']}: of {model}, {values['n']:,} events, {dimensions}; in force {values['effective']}"


def _rule(rule: Rule, the_plan: Plan, has_baselines: bool) -> dict[str, Any]:
    """A rule with its meaning; its text begins behind the id."""
    own = [f"{name} {value:g}" for name, value in asdict(rule).items() if name not in COMMON and value is not None]
    spec = WindowSpec(*map(int, rule.window.split("/")))
    window = window_text(spec)
    run = f"in a window of {window}"
    if rule.consecutive > 1:
        least = span(spec.size + (rule.consecutive - 1) * spec.slide)
        run = f"in {rule.consecutive} windows of {window} in a row ({least} at least)"
    where = [f"{name} {getattr(rule, name)}" for name in ("model", "version", "lane", "feature")]
    parts = [
        f"{rule.severity} {rule.action} when {rule.measurement} is {' and '.join(own)} {run}",
        *([f"of {rule.min_samples:,} samples or more"] if rule.min_samples > 1 else []),
        *(["windows without events count"] if rule.min_samples == 0 else []),
        f"again after {span(rule.cooldown)}" if rule.cooldown else "again at every window",
        *(text for text in where if not text.endswith(" *")),
    ]
    if not has_baselines and rule.measurement.endswith(OF_BASELINES):
        parts.append("never yet: it needs a baseline, and there is none")
    if rule.min_samples == 0 and not the_plan.empty_windows:
        parts.append("never of silence: empty_windows is 0, so there are no windows without events")
    return {**asdict(rule), "kind": rule.kind, "text": "; ".join(parts)}


def _memory(the_plan: Plan, baselines: Mapping[str, Baseline], series: int | None) -> dict[str, int]:
    """For series of the largest layout there is."""
    layouts = [Layout(), *(shape.layout for shape in the_plan.models), *(each.layout for each in baselines.values())]
    largest = max(layouts, key=pane_bytes)
    own = the_plan.max_series if series is None else series
    rollups = own * len(the_plan.rollups)  # of each kind, as many as there are series at most
    return {
        "series": own,
        "rollups": rollups,
        "live_panes": the_plan.live_panes,
        "pane_bytes": pane_bytes(largest),
        "bytes": state_bytes(the_plan, largest, series),
    }


def span(micros: int) -> str:
    return duration_text(timedelta(microseconds=micros))


def number(count: int, noun: str, plural: str = "") -> str:
    """
    >>> number(1, "pane"), number(2_000, "class", "classes")
    ('1 pane', '2,000 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def size_text(size: int) -> str:
    """Bytes for people.

    >>> size_text(5_300), size_text(2_400_000_000)
    ('5.2 KiB', '2.2 GiB')
    """
    value, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:,.0f} {units[0]}" if units[0] == "bytes" or value >= 100 else f"{value:,.1f} {units[0]}"
