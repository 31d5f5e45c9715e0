"""What the loop needs from the world: records in, commits out, a clock. Adapters implement these; core names them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streammon.core.errors import Code
from streammon.core.events import EventBatch
from streammon.core.journal import JournalEntry
from streammon.core.outputs import AlertEvent, MetricEvent, Series
from streammon.core.state import ClockState, HeaderState, PaneState, RuleState


class Run(NamedTuple):
    """Rows low to high - 1 of a batch, which come from one partition in offset order."""

    partition: int
    low: int
    high: int


class Origin(NamedTuple):
    """A record as it was read, for its dead letter."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Slices(NamedTuple):
    """Byte strings as columns."""

    buffer: NDArray[np.uint8]
    start: NDArray[np.int64]  # [n] in buffer; null: -1
    end: NDArray[np.int64]  # [n]


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records as columns. `runs` cover all rows. A null value has start -1."""

    buffer: NDArray[np.uint8]
    start: NDArray[np.int64]  # [n] of the value in buffer
    end: NDArray[np.int64]  # [n]
    offset: NDArray[np.int64]  # [n]
    timestamp: NDArray[np.int64]  # [n] microseconds
    runs: tuple[Run, ...]
    origin: Callable[[int], Origin]  # the record in one row
    keys: Slices | None = None  # None: the source has no keys at all
    by_producer: Callable[[int], bool] | None = (
        None  # whether a row's timestamp is its producer's; None: cannot be told
    )

    def __len__(self) -> int:
        return len(self.offset)


class Decoder(Protocol):
    """Records to events. A bad record gets a code in its row and never disturbs another row."""

    def decode(self, records: RecordBatch) -> EventBatch: ...


class Explain(Protocol):
    """For dead letters: names the field at fault, if there is one, and says what is wrong. One record at a time."""

    def __call__(self, value: bytes | None, code: Code, timestamp: int, /) -> tuple[str | None, str]: ...


class DeadLetter(NamedTuple):
    """A record that could not be counted."""

    partition: int
    offset: int
    timestamp: int  # of the record, microseconds
    code: Code
    field: str | None
    message: str
    origin: Origin


class LateRecord(NamedTuple):
    """A record whose event came when its pane was sealed."""

    partition: int
    offset: int
    timestamp: int  # of the record, microseconds
    series: Series
    pane_start: int  # of the pane that it missed, microseconds
    pane_end: int
    origin: Origin


class ChangelogKey(NamedTuple):
    """One thing in the changelog. `series` and `item` are `-` where they do not apply."""

    kind: str  # pane | clock | rule | header
    series: tuple[str, str, str] | str
    item: str  # pane start, rule id, or which header
    chunk: int = 0


ChangelogRecords = dict[ChangelogKey, bytes | None]  # None is a tombstone


class Snapshot(NamedTuple):
    """State of one partition as of `header.position`."""

    header: HeaderState
    clocks: list[ClockState]
    panes: list[PaneState]


@dataclass(slots=True)
class Outputs:
    """Everything that one commit makes visible at once, or not at all. Dicts are by partition."""

    metrics: list[MetricEvent] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    late: list[LateRecord] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)
    rules: dict[int, list[RuleState]] = field(default_factory=dict)  # memory that changed
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    headers: dict[int, HeaderState] = field(default_factory=dict)  # as of this commit, where the position changed
    positions: dict[int, int] = field(default_factory=dict)  # next offset of every assigned partition


class Committed(NamedTuple):
    """The last commit of a partition."""

    position: int
    token: str  # names the commit: who finds its own token there knows that nobody has committed since


class Restored(NamedTuple):
    """What is durable of one partition beside its committed position."""

    snapshot: Snapshot | None
    header: HeaderState | None  # of the last commit
    rules: list[RuleState]  # as of the last commit
    journal: list[JournalEntry]  # all entries, by sequence


class Listener(Protocol):
    """Told by a source about its partitions."""

    def assigned(self, partitions: Sequence[int]) -> None: ...

    def revoked(self, partitions: Sequence[int]) -> None:
        """They are about to be taken away: commits still count."""

    def lost(self, partitions: Sequence[int]) -> None:
        """They are gone: nothing may be committed for them."""


class Source(Protocol):
    """Where records come from. Partitions come and go inside `poll` and `heartbeat`, through the listener."""

    def start(self, listener: Listener) -> None: ...

    def poll(self, timeout: float) -> RecordBatch | None: ...

    def heartbeat(self) -> None:
        """Keep the membership alive during long work, before `seek`; delivers no records."""

    def is_member(self) -> bool:
        """Whether the group counts this worker in, as far as is known."""

    def seek(self, positions: Mapping[int, int]) -> None:
        """Read the assigned partitions from these positions; called once they are all known."""

    def pause(self, partitions: Collection[int]) -> None:
        """Deliver nothing of these partitions, while polling goes on, until `resume` or `seek`."""

    def resume(self, partitions: Collection[int]) -> None:
        """Go on with paused partitions, at the record behind the last one that was delivered."""

    def ask_ends(self, partitions: Collection[int]) -> None:
        """Ask where these partitions end; returns at once."""

    def confirmed(self) -> Mapping[int, int | None]:
        """What came of the questions since the last call, by partition: its end, where every record before it has been
        delivered; None where that is not so (it is behind, or a transaction is open upstream) or no answer came.
        """

    def finished(self) -> bool:
        """Whether nothing will ever come of the partitions that are not paused (files); a broker never finishes."""

    def close(self) -> None: ...


class CommitRefusedError(Exception):
    """The commit was undone because this worker's assignment is not current: the outputs may be sent again."""


class OutcomeUnknownError(Exception):
    """Nobody knows whether the commit took place: state must be rebuilt from what is durable.

    `fenced`: the producer was told that a later one has taken its place.
    """

    def __init__(self, message: str, fenced: bool = False) -> None:
        super().__init__(message)
        self.fenced = fenced


class Sink(Protocol):
    """Where outputs go: all or nothing."""

    def commit(self, outputs: Outputs) -> str:
        """Returns the commit's token. Raises CommitRefusedError or OutcomeUnknownError."""

    def reset(self, fenced: bool) -> None:
        """Start afresh after an unknown outcome. Raises errors.Fenced if another worker has taken over."""

    def close(self) -> None: ...


class StateStore(Protocol):
    """Reads back what commits made durable."""

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed | None]: ...

    def load(self, partition: int, heartbeat: Callable[[], None]) -> Restored: ...


class Fill(NamedTuple):
    """How full the engine of one partition is."""

    series: int
    panes: int
    bytes: int  # of the panes' arrays and the series' clocks


class Observer:
    """Told what the loop does; telemetry overrides what it wants to see. Called by the loop's own thread."""

    def turned(self) -> None:
        """The loop made one turn, or polled in the middle of a long one: it is alive."""

    def fed(self, partition: int, events: int, late: int, refused: Mapping[Code, int], windows: int) -> None:
        """Live records were counted; windows closed. `refused`: rows by code, tombstones included."""

    def tested(self, windows: int, seconds: float) -> None:
        """Results and drift tests of closed windows."""

    def filled(self, partition: int, fill: Fill, clock: int | None) -> None:
        """After a commit. `clock`: greatest accepted ts of the partition, microseconds; None before the first."""

    def advanced(self, partition: int, position: int, seconds: float, windows: int) -> None:
        """The partition was silent for so long, and its clocks advance by it: so many windows close."""

    def producers_clocks(self) -> None:
        """Once: record timestamps of the input are its producers' (CreateTime)."""

    def paused(self, partition: int, position: int, reason: str) -> None:
        """A partition is read no further until it is assigned anew; its state and membership are kept."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """These partitions, perhaps none, are all that this worker has; they are brought up one after another."""

    def restored(self, partition: int, restored: Restored, position: int, seconds: float) -> None:
        """State was read back in that time; the log is read again from the snapshot up to `position`, then `live`."""

    def live(self, partition: int, position: int) -> None: ...
    def kept(self, partition: int, position: int) -> None: ...
    def revoked(self, partitions: Sequence[int]) -> None: ...
    def lost(self, partitions: Sequence[int]) -> None: ...
    def committed(self, outputs: Outputs, seconds: float) -> None: ...
    def commit_refused(self, error: Exception) -> None: ...
    def rebuilt(self, error: Exception) -> None: ...
    def alert(self, alert: AlertEvent) -> None: ...
