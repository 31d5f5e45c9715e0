"""What a scrape shows, hook by hook."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streammon import __version__
from streammon.core.errors import Code
from streammon.core.outputs import AlertState
from streammon.core.ports import CommitRefusedError, Fill, OutcomeUnknownError, Outputs
from streammon.telemetry import Health, Metric, Metrics, Observers, pages
from tests.telemetry.samples import MINUTE, TOPIC, Clock, alert, restored

Labels = frozenset[tuple[str, str]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Scraped:
    """A worker's metrics and health behind one observer."""

    def __init__(self, clock: Clock) -> None:
        self.health = Health(TOPIC, 30.0, clock)
        self.metrics = Metrics(TOPIC, "plan-hash", self.health, clock)
        self.loop = Observers(self.health, self.metrics)

    def samples(self) -> dict[tuple[str, Labels], float]:
        page = pages(self.metrics, self.health)["/metrics"]("")
        families = text_string_to_metric_families(page.body.decode())
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def of(self, name: str, partition: int = 0, **labels: str) -> float | None:
        """The value of a partition's series; None where there is none."""
        wanted = frozenset({"topic": TOPIC, "partition": str(partition), **labels}.items())
        return self.samples().get((name, wanted))

    def plain(self, name: str, **labels: str) -> float | None:
        return self.samples().get((name, frozenset(labels.items())))


@pytest.fixture
def scraped(clock: Clock) -> Scraped:
    return Scraped(clock)


def test_every_declared_metric_is_registered_under_its_kind(scraped: Scraped) -> None:
    page = pages(scraped.metrics, scraped.health)["/metrics"]("").body.decode()
    shown = {tuple(line.split()[2:4]) for line in page.splitlines() if line.startswith("# TYPE streammon_")}
    assert shown == {(metric.value.name, metric.value.kind.value) for metric in Metric}


def test_figures_of_the_process_and_of_the_build(scraped: Scraped) -> None:
    assert (scraped.plain("process_resident_memory_bytes") or 0) > 1e6
    assert scraped.plain("streammon_build_info", version=__version__, plan="plan-hash") == 1.0


def test_what_was_fed_is_counted(scraped: Scraped) -> None:
    scraped.loop.assigned([0, 1])
    scraped.loop.fed(0, 100, 3, {Code.TOMBSTONE: 2, Code.RANGE: 4}, 7)
    scraped.loop.fed(0, 50, 0, {Code.RANGE: 1}, 0)
    assert scraped.of("streammon_events_total") == 150
    assert scraped.of("streammon_late_events_total") == 3
    assert scraped.of("streammon_tombstones_total") == 2
    assert scraped.of("streammon_windows_closed_total") == 7
    assert scraped.of("streammon_dead_letters_total", reason="RANGE") == 5
    assert scraped.of("streammon_dead_letters_total", reason="TOMBSTONE") is None


def test_counters_begin_at_zero_so_that_the_first_step_shows(scraped: Scraped) -> None:
    """`increase` sees nothing of a series that begins at its first count."""
    assert scraped.of("streammon_events_total") is None
    scraped.loop.assigned([0])
    assert scraped.of("streammon_events_total") == 0
    assert scraped.of("streammon_dead_letters_total", reason="FUTURE") == 0


def test_lag_is_what_lies_between_the_last_commit_and_the_end(scraped: Scraped, clock: Clock) -> None:
    """Looked at once a second; none before both are known; never negative."""
    ends: dict[int, int] = {}
    scraped.metrics.ends = lambda: dict(ends)
    scraped.loop.assigned([0])
    scraped.loop.turned()
    assert scraped.of("streammon_lag_records") is None
    scraped.loop.live(0, 100)
    ends[0] = 250
    scraped.loop.turned()
    assert scraped.of("streammon_lag_records") is None, "the second is not over"
    clock.seconds += 1
    scraped.loop.turned()
    assert scraped.of("streammon_lag_records") == 150
    scraped.loop.committed(Outputs(positions={0: 251}), 0.02)
    assert scraped.of("streammon_position") == 251
    clock.seconds += 1
    scraped.loop.turned()
    assert scraped.of("streammon_lag_records") == 0


def test_state_and_clock(scraped: Scraped) -> None:
    scraped.loop.assigned([0])
    scraped.loop.filled(0, Fill(3, 40, 5_000), None)
    assert scraped.of("streammon_clock_seconds") is None
    scraped.loop.filled(0, Fill(4, 41, 6_000), MINUTE + 500_000)
    assert scraped.of("streammon_series") == 4
    assert scraped.of("streammon_panes") == 41
    assert scraped.of("streammon_state_bytes") == 6_000
    assert scraped.of("streammon_clock_seconds") == 60.5


@pytest.mark.parametrize("how", ["revoked", "lost"])
def test_a_partition_that_is_taken_away_takes_its_series_with_it(how: str, scraped: Scraped, clock: Clock) -> None:
    """For good: neither the farewell commit nor a late look at the ends brings them back. Others stay."""
    scraped.metrics.ends = lambda: {0: 10, 1: 10}
    scraped.loop.assigned([0, 1])
    for partition in (0, 1):
        scraped.loop.live(partition, 5)
        scraped.loop.fed(partition, 5, 1, {Code.RANGE: 1}, 1)
        scraped.loop.filled(partition, Fill(1, 1, 1), MINUTE)
    clock.seconds += 1
    scraped.loop.turned()
    assert scraped.of("streammon_lag_records", 1) == 5
    getattr(scraped.loop, how)([1])
    scraped.loop.committed(Outputs(positions={0: 6, 1: 6}), 0.1)
    scraped.loop.filled(1, Fill(1, 1, 1), MINUTE)
    clock.seconds += 1
    scraped.loop.turned()
    assert not [labels for _, labels in scraped.samples() if ("partition", "1") in labels]
    assert scraped.of("streammon_events_total", 0) == 5
    assert scraped.plain("streammon_rebalances_total", reason=how) == 1
    scraped.loop.assigned([1])
    assert not [labels for _, labels in scraped.samples() if ("partition", "0") in labels]
    assert scraped.of("streammon_events_total", 1) == 0, "a counter that comes back begins anew"


def test_commits_and_what_they_published(scraped: Scraped) -> None:
    scraped.loop.committed(Outputs(), 0.02)
    scraped.loop.committed(Outputs(), 0.2)
    scraped.loop.commit_refused(CommitRefusedError("x"))
    scraped.loop.rebuilt(OutcomeUnknownError("x"))
    scraped.loop.tested(12, 0.5)
    scraped.loop.alert(alert(AlertState.FIRING, "P1"))
    scraped.loop.alert(alert(AlertState.FIRING, "P1"))
    scraped.loop.alert(alert(AlertState.RESOLVED, "P3"))
    assert scraped.plain("streammon_commit_seconds_count") == 2
    assert scraped.plain("streammon_commit_seconds_sum") == pytest.approx(0.22)
    assert scraped.plain("streammon_commit_seconds_bucket", le="0.05") == 1
    assert scraped.plain("streammon_commits_refused_total") == 1
    assert scraped.plain("streammon_rebuilds_total") == 1
    assert scraped.plain("streammon_suite_seconds_sum") == 0.5
    assert scraped.plain("streammon_alerts_total", severity="P1", state="FIRING") == 2
    assert scraped.plain("streammon_alerts_total", severity="P3", state="RESOLVED") == 1


def test_a_restoration_lasts_until_the_partition_is_live(scraped: Scraped, clock: Clock) -> None:
    """Reading state back (2 s here), then the log up to the last commit. One that begins anew is none."""
    scraped.loop.assigned([0, 1])
    clock.seconds += 2.0
    scraped.loop.restored(0, restored(5), 9, 2.0)
    scraped.loop.live(1, 0)
    assert scraped.plain("streammon_restoration_seconds_count") == 0
    clock.seconds += 3.0
    scraped.loop.live(0, 9)
    assert scraped.plain("streammon_restoration_seconds_count") == 1
    assert scraped.plain("streammon_restoration_seconds_sum") == 5.0


def test_health_in_the_metrics(scraped: Scraped, clock: Clock) -> None:
    assert scraped.plain("streammon_ready") == 0
    scraped.loop.assigned([0, 1])
    scraped.loop.live(0, 0)
    assert scraped.plain("streammon_partitions_assigned") == 2
    assert scraped.plain("streammon_partitions_live") == 1
    scraped.loop.live(1, 0)
    assert scraped.plain("streammon_ready") == 1
    scraped.loop.paused(1, 0, "x")
    clock.seconds += 4
    assert scraped.plain("streammon_ready") == 0
    assert scraped.plain("streammon_partitions_paused") == 1
    assert scraped.plain("streammon_turn_age_seconds") == 4.0


def test_two_workers_of_one_process_do_not_mix(clock: Clock) -> None:
    """Each has a registry of its own."""
    one, other = Scraped(clock), Scraped(clock)
    one.loop.rebuilt(OutcomeUnknownError("x"))
    assert other.plain("streammon_rebuilds_total") == 0
