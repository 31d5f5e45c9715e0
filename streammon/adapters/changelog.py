"""What the changelog topic holds: tracked, so that what vanished gets a tombstone, and read back."""

from __future__ import annotations

from collections.abc import Iterable

from streammon.adapters.changelog_codec import changelog_key, decode_changelog, encode_changelog, encode_key, tombstones
from streammon.core.ports import ChangelogKey, ChangelogRecords, Outputs, Restored, Snapshot
from streammon.core.state import ClockState, PaneState

COMMIT, SNAPSHOT = "commit", "snapshot"  # the two headers


class Changelog:
    """Turns outputs into changelog records. Knows, by partition, how many chunks each pane and clock takes there."""

    def __init__(self) -> None:
        self._chunks: dict[int, dict[ChangelogKey, int]] = {}
        self._next: dict[int, dict[ChangelogKey, int]] = {}

    def memory(self, outputs: Outputs) -> list[tuple[int, bytes, bytes | None]]:
        """(partition, key, value) of rule memory and of the commit's own header."""
        records = []
        for partition, rules in outputs.rules.items():
            for rule in rules:
                found = encode_changelog(rule) if rule.memories else tombstones(changelog_key(rule))
                records += _encoded(partition, found)
        for partition, header in outputs.headers.items():
            records += _encoded(partition, encode_changelog(header, COMMIT))
        return records

    def snapshots(self, outputs: Outputs) -> list[tuple[int, bytes, bytes | None]]:
        """(partition, key, value) of whole snapshots, headers last."""
        self._next = {}
        records = []
        for partition, snapshot in outputs.snapshots.items():
            records += _encoded(partition, self._snapshot(partition, snapshot))
        return records

    def committed(self) -> None:
        """The records of the last call of `snapshots` are durable."""
        self._chunks.update(self._next)
        self._next = {}

    def restored(self, partition: int, values: dict[ChangelogKey, bytes]) -> Restored:
        """What was read of a partition (without its journal)."""
        states = decode_changelog(values)
        chunks: dict[ChangelogKey, int] = {}
        for key in values:
            if key.kind in {"pane", "clock"}:
                first = key._replace(chunk=0)
                chunks[first] = max(chunks.get(first, 0), key.chunk + 1)
        self._chunks[partition] = chunks
        header = states.headers.get(SNAPSHOT)
        snapshot = None if header is None else Snapshot(header, states.clocks, states.panes)
        return Restored(snapshot, states.headers.get(COMMIT), states.rules, [])

    def _snapshot(self, partition: int, snapshot: Snapshot) -> ChangelogRecords:
        before = self._chunks.get(partition, {})
        after: dict[ChangelogKey, int] = {}
        records: ChangelogRecords = {}
        things: Iterable[PaneState | ClockState] = (*snapshot.panes, *snapshot.clocks)
        for state in things:
            key = changelog_key(state)
            found = encode_changelog(state, chunks_before=before.get(key, 0))
            after[key] = sum(value is not None for value in found.values())
            records |= found
        for key in before.keys() - after.keys():
            records |= tombstones(key, before[key])
        self._next[partition] = after
        return records | encode_changelog(snapshot.header, SNAPSHOT)


def _encoded(partition: int, records: ChangelogRecords) -> list[tuple[int, bytes, bytes | None]]:
    return [(partition, encode_key(key), value) for key, value in records.items()]
