"""Every operational name once, with its meaning: events of the log, and metrics of the endpoint.

docs/operating.md shows both as tables that are made from these.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple, Self


class Event(StrEnum):
    """What a line of the log says in `event`."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    STARTED = "started", "the worker is about to join its group"
    LISTENING = "listening", "the endpoint answers at this address"
    PORT_TAKEN = "port_taken", "another program has the usual port: the endpoint takes a free one"
    ASSIGNED = "assigned", "the group gave these partitions, perhaps none; their state is read back next"
    RESTORED = "restored", "state of a partition was read back; the log is read again up to the last commit's position"
    LIVE = "live", "from this position on, outputs of the partition count"
    KEPT = "kept", "a partition was taken away and came back before anybody else committed: its state is still good"
    PAUSED = "paused", "a partition is read no further, for this reason; its state and the membership are kept"
    REVOKED = "revoked", "partitions are taken away; everything is committed first"
    LOST = "lost", "partitions are gone: what was not committed is dropped, and read again by whoever has them now"
    COMMITTED = "committed", "a transaction went through (level debug)"
    COMMIT_REFUSED = "commit_refused", "a transaction was aborted; its outputs will be sent again"
    REBUILT = "rebuilt", "nobody knows whether a transaction went through: state is read back"
    ADVANCED = "advanced", "a partition was silent for so many seconds: its clocks advance by them, windows close"
    PRODUCERS_CLOCKS = "producers_clocks", "the input has its producers' timestamps (CreateTime): what that means"
    ALERT = "alert", "an alert event was published"
    CLIENT = "client", "a line of the Kafka client's own log; equal ones come once in 10 s, with how many were left out"
    ENDPOINT_FAILED = "endpoint_failed", "a request to the endpoint could not be answered; the work goes on"
    FAILED = "failed", "the worker ends, for this reason (json only: a person sees the command's last words)"
    GAVE_UP = "gave_up", "told to stop, but the broker did not answer in time: what is not committed is read again"
    STOPPED = "stopped", "the worker left its group"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Description(NamedTuple):
    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str


def _counter(name: str, unit: str, meaning: str, labels: tuple[str, ...] = ()) -> Description:
    return Description(name, Kind.COUNTER, unit, labels, meaning)


def _gauge(name: str, unit: str, meaning: str, labels: tuple[str, ...] = ()) -> Description:
    return Description(name, Kind.GAUGE, unit, labels, meaning)


def _histogram(name: str, meaning: str) -> Description:
    return Description(name, Kind.HISTOGRAM, "seconds", (), meaning)


_OF = ("topic", "partition")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Of every histogram, in seconds: from a quick commit to a long restoration."""


class Metric(Enum):
    """What the endpoint shows. No label holds what a producer chose, such as a model id: their number has no bound."""

    BUILD = _gauge("streammon_build_info", "1", "always 1; which program and which plan", ("version", "plan"))
    READY = _gauge("streammon_ready", "0 or 1", "what /ready says")
    TURN_AGE = _gauge("streammon_turn_age_seconds", "seconds", "since the loop's last turn, on which /live has a limit")
    ASSIGNED = _gauge("streammon_partitions_assigned", "partitions", "that the group gave to this worker")
    LIVE = _gauge("streammon_partitions_live", "partitions", "of them, those that are brought up: their outputs count")
    PAUSED = _gauge("streammon_partitions_paused", "partitions", "of them, those that are read no further")
    LAG = _gauge("streammon_lag_records", "records", "from the last commit's position to the end of the log", _OF)
    POSITION = _gauge("streammon_position", "offset", "next one to read, as of the last commit", _OF)
    CLOCK = _gauge("streammon_clock_seconds", "seconds since the epoch", "event time: greatest accepted ts", _OF)
    EVENTS = _counter("streammon_events_total", "events", "counted, late ones not", _OF)
    LATE = _counter("streammon_late_events_total", "events", "whose pane was sealed: in no window", _OF)
    TOMBSTONES = _counter("streammon_tombstones_total", "records", "with a null value", _OF)
    DEAD_LETTERS = _counter("streammon_dead_letters_total", "records", "refused, by code", (*_OF, "reason"))
    WINDOWS = _counter("streammon_windows_closed_total", "windows", "each of one series", _OF)
    ADVANCES = _counter("streammon_idle_advances_total", "decisions", "clocks advanced: the partition was silent", _OF)
    SERIES = _gauge("streammon_series", "series", "in memory", _OF)
    PANES = _gauge("streammon_panes", "panes", "in memory", _OF)
    STATE = _gauge("streammon_state_bytes", "bytes", "of panes and clocks in memory", _OF)
    COMMITS = _histogram("streammon_commit_seconds", "of a transaction that went through")
    REFUSED = _counter("streammon_commits_refused_total", "commits", "aborted; their outputs are sent again")
    REBUILDS = _counter("streammon_rebuilds_total", "rebuilds", "of state, after a commit of unknown outcome")
    SUITE = _histogram("streammon_suite_seconds", "of results and drift tests of one commit's windows")
    METRICS = _counter("streammon_metric_events_total", "events", "published about models")
    ALERTS = _counter("streammon_alerts_total", "events", "alert events published", ("severity", "state"))
    RESTORATIONS = _histogram("streammon_restoration_seconds", "until a partition with state is live again")
    REBALANCES = _counter("streammon_rebalances_total", "rebalances", "took partitions, in order or not", ("reason",))
