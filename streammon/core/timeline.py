"""Time: which series an event belongs to, what its clock says, whether the event is late, and when a window is due.

Clock of a series: `own` is its greatest accepted ts, P the partition's, P0 the value of P when the series last had an
event (that event included). After each event, for every series of the partition,

    clock = max(clock, own, own + max(0, P - P0 - idle_grace))

A live series follows its own events; a silent one follows the partition's progress since then. P only grows and `own`
and P0 change only with the series' own events, so the clock of a silent series need not be touched at each event: it
is computed when it is asked for, and `progress[DUE]` holds the least P at which something is due in a silent series.

A pane is sealed when clock >= pane end + allowed_lateness; an event is late if and only if its pane is sealed.
`route` goes through a batch event by event, and stops behind the event after which something is due, so that sealing
and closing are decided per event position and never per batch.

A roll-up has a clock too, fed by the events that its members take and it has not sealed the pane of. An event that is
late for its member is late for the member's roll-ups; one that is late for a roll-up alone does not feed its clock.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core.compiled import SEED, hash_bytes, kernel, same_bytes
from streammon.core.errors import Code
from streammon.core.events import DATA_HASH, EMBEDDING, FEATURES, GIT_COMMIT, LANE, MODEL_ID, MODEL_VERSION, PROBS, TS

NEVER = 1 << 62  # microseconds; far beyond every time, and sums of two do not overflow
FARTHEST = 1 << 60  # a ts beyond is RANGE
LONGEST_KEY = 16_384  # bytes of model_id, model_version or lane; longer is RANGE, so that keys cannot fill the memory
LONGEST_STAMP = 1_024  # bytes of data_hash or git_commit, likewise: each pane keeps one
LATE = 255  # verdict on an event whose pane is sealed; not an errors.Code: such an event is good, but too late

P, DUE = 0, 1  # elements of `progress`

END, NEW_SERIES, NEW_PANE, NEW_STAMP, IS_DUE = range(5)  # why `route` stopped

NONE, ONE, SEVERAL = range(3)  # values of data_hash or git_commit in a pane
STAMPS = (DATA_HASH, GIT_COMMIT)

OK, RANGE, DIMENSION, FUTURE = (int(code) for code in (Code.OK, Code.RANGE, Code.DIMENSION, Code.FUTURE))


class Table(NamedTuple):
    """Series by the bytes of their key: open addressing, linear probing, at most half full."""

    places: NDArray[np.int32]  # [capacity] series number or -1
    hash: NDArray[np.uint64]  # [series]
    bytes: NDArray[np.uint8]
    start: NDArray[np.int64]  # [series, 3]
    length: NDArray[np.int32]  # [series, 3]
    unknown: int  # number of the series that keys not in the table count for; -1 while there is room for new ones


class Clocks(NamedTuple):
    """Time of each series, microseconds. A series without an accepted event has own = clock = -NEVER, p0 = FARTHEST."""

    own: NDArray[np.int64]
    clock: NDArray[np.int64]
    p0: NDArray[np.int64]
    due: NDArray[np.int64]  # clock at which its next pane is sealed or window closes, NEVER if none will
    late: NDArray[np.int64]  # late events so far
    dims: NDArray[np.int32]  # [series, 3] expected lengths of features, probs, embedding; 0 unknown
    ring: NDArray[np.int32]  # [series, open panes at most] pane id by pane number modulo the width, or -1
    counted: NDArray[np.bool_]  # whether any window, its own or a roll-up's, needs its panes
    rollups: NDArray[np.int32]  # [series, roll-ups of the plan] their numbers, or -1


class PaneTable(NamedTuple):
    """Live panes by id."""

    number: NDArray[np.int64]
    store: NDArray[np.int32]  # which layout's store
    slot: NDArray[np.int32]  # row in that store
    baseline: NDArray[np.int32]  # row in that store's references, 0 none; -1: merged of several, not anchored
    n: NDArray[np.int64]
    stamp: NDArray[np.uint64]  # [panes, 2] hash of the first data_hash and git_commit that are not null
    stamps: NDArray[np.uint8]  # [panes, 2] how many values were seen: NONE, ONE or SEVERAL


class Scale(NamedTuple):
    """The plan's times, microseconds."""

    width: int
    origin: int
    lateness: int
    grace: int
    skew: int
    expiry: int


@kernel
def clock_now(own: int, clock: int, p0: int, progress: int, grace: int) -> int:
    """The clock of a series now that the partition has progressed."""
    return max(clock, own, own + max(0, progress - p0 - grace))


@kernel
def key_hash(buffer, start, length, row):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    h = hash_bytes(buffer, start[row, MODEL_ID], max(0, length[row, MODEL_ID]), np.uint64(0))
    h = hash_bytes(buffer, start[row, MODEL_VERSION], max(0, length[row, MODEL_VERSION]), h)
    return hash_bytes(buffer, start[row, LANE], max(0, length[row, LANE]), h)


@kernel
def find_series(table, buffer, start, length, row, h):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    mask = len(table.places) - 1
    place = np.int64(h & np.uint64(mask))
    while True:
        s = table.places[place]
        if s < 0:
            return -1
        if table.hash[s] == h:
            same = True
            for k in range(3):
                size = max(0, length[row, MODEL_ID + k])
                if table.length[s, k] != size or not same_bytes(
                    table.bytes, table.start[s, k], buffer, start[row, MODEL_ID + k], size
                ):
                    same = False
                    break
            if same:
                return s
        place = (place + 1) & mask


@kernel
def too_long(length, row):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """Whether a part of the key, or a stamp, is longer than is kept."""
    for k in range(3):
        if length[row, MODEL_ID + k] > LONGEST_KEY:
            return True
    for k in range(2):  # noqa: SIM110 - numba compiles no generator expressions
        if length[row, STAMPS[k]] > LONGEST_STAMP:
            return True
    return False


@kernel
def right_size(expected: int, length: int) -> bool:
    """0 expected: unknown; 0 long: not recorded."""
    return expected * length == 0 or expected == length


@kernel
def take(clocks, progress, grace, s, now, ts):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """An event feeds the clock of a series, which stood at `now`. Whether that makes something due."""
    clocks.own[s] = max(clocks.own[s], ts)
    clocks.p0[s] = progress[P]
    clocks.clock[s] = max(now, clocks.own[s])
    progress[DUE] = min(progress[DUE], clocks.due[s] - clocks.own[s] + progress[P] + grace)
    return clocks.clock[s] >= clocks.due[s]


@kernel
def route(  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    low,
    timestamp,
    ints,
    buffer,
    string_start,
    string_length,
    list_length,
    table,
    clocks,
    progress,
    panes,
    scale,
    verdict,
    store,
    slot,
):
    """Judge and place rows `low` and up: fills verdict (in: the decoder's code), store and slot (-1: not counted).

    Returns (row, reason): the first row not done, and why it stopped there. NEW_SERIES, NEW_PANE and NEW_STAMP ask the
    caller to make one for that row; IS_DUE: the row before made something due.
    """
    for i in range(low, len(verdict)):
        slot[i] = -1
        if verdict[i] != OK:
            continue
        if too_long(string_length, i):
            verdict[i] = RANGE
            continue
        ts = ints[i, TS]
        if ts > timestamp[i] + scale.skew:
            verdict[i] = FUTURE
            continue
        if not -FARTHEST < ts < FARTHEST:
            verdict[i] = RANGE
            continue
        s = find_series(table, buffer, string_start, string_length, i, key_hash(buffer, string_start, string_length, i))
        if s < 0:
            s = table.unknown
        if s < 0:
            return i, NEW_SERIES
        if not (
            right_size(clocks.dims[s, 0], list_length[i, FEATURES])
            and right_size(clocks.dims[s, 1], list_length[i, PROBS])
            and right_size(clocks.dims[s, 2], list_length[i, EMBEDDING])
        ):
            verdict[i] = DIMENSION
            continue
        number = (ts - scale.origin) // scale.width
        seal = scale.origin + (number + 1) * scale.width + scale.lateness
        now = clock_now(clocks.own[s], clocks.clock[s], clocks.p0[s], progress[P], scale.grace)
        if now >= seal:
            verdict[i] = LATE
            clocks.late[s] += 1
            for k in range(clocks.rollups.shape[1]):
                if clocks.rollups[s, k] >= 0:
                    clocks.late[clocks.rollups[s, k]] += 1
            continue
        if clocks.counted[s]:
            pane = clocks.ring[s, number % clocks.ring.shape[1]]
            if pane < 0 or panes.number[pane] != number:
                return i, NEW_PANE
            for k in range(2):
                field = STAMPS[k]
                if string_length[i, field] < 0 or panes.stamps[pane, k] == SEVERAL:
                    continue
                if panes.stamps[pane, k] == NONE:
                    return i, NEW_STAMP
                if hash_bytes(buffer, string_start[i, field], string_length[i, field], SEED) != panes.stamp[pane, k]:
                    panes.stamps[pane, k] = SEVERAL
            store[i] = panes.store[pane]
            slot[i] = panes.slot[pane]
            panes.n[pane] += 1
        before = progress[P]
        progress[P] = max(before, ts)
        is_due = take(clocks, progress, scale.grace, s, now, ts)
        if not clocks.counted[s]:  # nothing of it closes, but its place may be given free
            progress[DUE] = min(progress[DUE], progress[P] + scale.expiry)
        for k in range(clocks.rollups.shape[1]):
            r = clocks.rollups[s, k]
            if r >= 0:
                now = clock_now(clocks.own[r], clocks.clock[r], clocks.p0[r], before, scale.grace)
                if now >= seal:
                    clocks.late[r] += 1
                elif take(clocks, progress, scale.grace, r, now, ts):
                    is_due = True
        if is_due or progress[P] >= progress[DUE]:
            return i + 1, IS_DUE
    return len(verdict), END
