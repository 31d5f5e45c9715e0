"""The shape of the settings. Every field has a default but the few marked by their absence."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streammon.core.outputs import Rollup
from streammon.core.rules import Rule
from streammon.settings import kinds
from streammon.settings.durations import duration_text, parse_window
from streammon.settings.input import Input
from streammon.settings.kafka import DEFAULTS, Option, certificate_problems, check_options
from streammon.settings.kinds import Count, Duration, OneOrMany, Port, Positive, Text, Token, Topic, is_loopback
from streammon.settings.problems import Problems
from streammon.settings.rules import RuleKeys, fit
from streammon.settings.section import Section, given
from streammon.settings.windows import WindowKeys, check_windows, not_rolled_up

PREFIX = "STREAMMON_"
DELIMITER = "__"


class Topics(Section):
    events: Topic = "inference-events"
    metrics: Topic = "streammon-metrics"
    alerts: Topic = "streammon-alerts"
    dead_letters: Topic = "streammon-dead-letters"
    late: Topic | None = None  # late events are counted, and go nowhere else
    journal: Topic = "streammon-journal"
    changelog: Topic = "streammon-changelog"

    @model_validator(mode="after")
    def _all_different(self) -> Self:
        seen: dict[str, str] = {}
        for field, name in self:
            if name is None:
                continue
            if name in seen:
                raise Problems(((field,), f"is the topic of {seen[name]} too: each needs its own"))
            seen[name] = field
        return self


class Model(Section):
    """Dimensions of the models that match, for those without a baseline."""

    match: kinds.ModelPattern
    features: kinds.Features = ()
    classes: kinds.Names = ()
    embedding: kinds.Dimension = 0


class Limits(Section):
    """What bounds a worker's memory. The numbers are part of the plan: state is kept under the same ones only."""

    series_per_partition: Count = 1_000
    panes_per_window: Count = 10_000
    series_alert: bool = True  # the rule series-cap


class Delivery(Section):
    commit_interval: Positive = timedelta(seconds=1)
    min_commit_interval: Duration = timedelta(milliseconds=200)
    snapshot_interval: Positive = timedelta(seconds=30)
    snapshot_events: Count = 500_000
    session_timeout: Positive = timedelta(seconds=18)
    transaction_timeout: Duration = timedelta(seconds=12)
    max_batch: Count = 10_000

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        # A worker that lost its partitions must not have a transaction open that its successor has to wait for.
        if self.transaction_timeout >= self.session_timeout:
            limit = duration_text(self.session_timeout)
            raise Problems((("transaction_timeout",), f"should be shorter than session_timeout ({limit})"))
        if self.transaction_timeout < timedelta(seconds=1):
            raise Problems((("transaction_timeout",), "should be at least 1s, Kafka's shortest"))
        if self.min_commit_interval > self.commit_interval:
            limit = duration_text(self.commit_interval)
            raise Problems((("min_commit_interval",), f"should be no longer than commit_interval ({limit})"))
        return self


class Log(Section):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Telemetry(Section):
    """The endpoint: /metrics, /live, /ready."""

    enabled: bool = True
    address: Text = "127.0.0.1"
    port: Port = "auto"
    token: Token | None = None

    @model_validator(mode="after")
    def _others_need_a_token(self) -> Self:
        if self.enabled and self.token is None and not is_loopback(self.address):
            raise Problems(
                (
                    ("address",),
                    "is open to other machines, which needs a token (telemetry.token_file): set one, or use 127.0.0.1",
                )
            )
        return self


class Settings(BaseSettings):
    """Made by `load`, which joins the layers. `Settings()` itself reads nothing: it holds the defaults."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,  # compose files pass `${NAME:-}`
    )

    group: Text = "streammon"
    instance: Text | None = None
    topics: Topics = Topics()
    kafka: Annotated[dict[str, Option], BeforeValidator(check_options)] = dict(DEFAULTS)
    insecure: bool = False
    input: Input = Input()
    limits: Limits = Limits()
    windows: Annotated[tuple[WindowKeys, ...], OneOrMany] = (WindowKeys(window=parse_window("1m")),)
    rollups: Annotated[tuple[Rollup, ...], OneOrMany, AfterValidator(kinds.distinct)] = ()
    empty_windows: kinds.Natural = 0
    allowed_lateness: Duration = timedelta(seconds=10)
    idle_grace: Duration = timedelta(minutes=5)
    max_future_skew: Duration = timedelta(minutes=5)
    idle_timeout: Positive = timedelta(minutes=1)
    expire_after: Positive = timedelta(days=7)
    models: tuple[Model, ...] = ()
    baselines: Annotated[tuple[Path, ...], OneOrMany] = ()
    rules: tuple[RuleKeys, ...] = ()
    delivery: Delivery = Delivery()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log: Log = Log()
    telemetry: Telemetry = Telemetry()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed and nothing else: `load` joins the layers, so that errors can name the one at fault."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, data: Any) -> Any:
        return given(cls, data)

    @field_validator("windows")
    @classmethod
    def _windows_fit(cls, windows: tuple[WindowKeys, ...], info: ValidationInfo) -> tuple[WindowKeys, ...]:
        limits: Limits = info.data.get("limits", Limits())
        check_windows(windows, limits.panes_per_window)
        return windows

    @field_validator("rules")
    @classmethod
    def _rules_fit(cls, rules: tuple[Rule, ...], info: ValidationInfo) -> tuple[Rule, ...]:
        return fit(rules, info.data.get("windows"), info.data.get("rollups"))  # None: they are refused themselves

    @model_validator(mode="after")
    def _rollups_are_made(self) -> Self:
        found = [
            (("windows", index, *place), text)
            for index, keys in enumerate(self.windows)
            for place, text in not_rolled_up(keys.version, keys.lane, self.rollups)
        ]
        if found:
            raise Problems(*found)
        return self

    @model_validator(mode="after")
    def _certificates_are_checked(self) -> Self:
        found = [] if self.insecure else list(certificate_problems(self.kafka))
        if found:
            raise Problems(*found)
        return self
