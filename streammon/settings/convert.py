"""Settings, turned into what others work with: the plan, options of the Kafka client, YAML to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from pydantic import SecretStr

from streammon.core.baseline import Layout
from streammon.core.outputs import OTHER, WindowSpec
from streammon.core.plan import ModelShape, Plan, Policy
from streammon.settings.decoding import decoding
from streammon.settings.durations import microseconds
from streammon.settings.model import Settings
from streammon.settings.rules import series_cap
from streammon.settings.windows import scopes, specs


def plan(settings: Settings, topic: str | None = None) -> Plan:
    """What changes results, in a form that does not depend on how it was written.

    `topic` is the input when it is not the one of the settings (a recorded file knows its own).
    """
    the_plan = Plan(
        topic=settings.topics.events if topic is None else topic,
        windows=specs(settings.windows),
        scopes=scopes(settings.windows),
        rollups=tuple(sorted(set(settings.rollups))),
        empty_windows=settings.empty_windows,
        expire_after=microseconds(settings.expire_after),
        allowed_lateness=microseconds(settings.allowed_lateness),
        idle_grace=microseconds(settings.idle_grace),
        max_future_skew=microseconds(settings.max_future_skew),
        models=tuple(  # in the order of the settings: the first that matches counts
            ModelShape(model.match, Layout(model.features, model.classes, model.embedding)) for model in settings.models
        ),
        decoding=decoding(settings.input),
        max_panes=settings.limits.panes_per_window,
        max_series=settings.limits.series_per_partition,
    )
    return replace(the_plan, policy=_policy(settings, the_plan.windows_of(OTHER)))


def kafka_options(settings: Settings) -> dict[str, Any]:
    """The user's options as librdkafka takes them. Secrets are in clear text here, and nowhere else."""
    return {name: _option(value) for name, value in settings.kafka.items()}


def dump(settings: Settings) -> str:
    """All settings, defaults included, as YAML that `load` reads. Secrets are masked."""
    data = settings.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def _policy(settings: Settings, windows: tuple[WindowSpec, ...]) -> Policy:
    """The user's rules and, unless `__other__` has no windows, series-cap; in order of their ids."""
    rules = {rule.id: rule for rule in settings.rules}
    if settings.limits.series_alert and windows:
        built_in = series_cap(windows[0])
        rules.setdefault(built_in.id, built_in)
    return Policy(tuple(rules[name] for name in sorted(rules)))


def _option(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else value
