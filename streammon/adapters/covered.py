"""What a replay covers, as metadata of metrics.avro: a folder says itself what it may be compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

KEY = "streammon.covered"


@dataclass(frozen=True)
class Covered:
    """Of a run over a part of a topic."""

    ranges: Mapping[int, tuple[int, int]]  # by partition: first offset read, position behind the last one
    since: Mapping[int, int] = field(default_factory=dict)  # by partition, if it warmed up: the least start of a window
    why_not: str | None = None  # a sentence, where the run is not comparable with what live published

    def holds(self, partition: int, closing_position: int, start: int) -> bool:
        """Whether a window that closed there, and starts at `start` (microseconds), is one that the run publishes."""
        first, end = self.ranges.get(partition, (0, -1))
        return first < closing_position <= end and start >= self.since.get(partition, start)

    def is_end(self, partition: int, closing_position: int) -> bool:
        """Whether a window closed at the very end: by the last record, or by a silence, which may be decided later."""
        return self.ranges.get(partition, (0, -1))[1] == closing_position

    def metadata(self) -> dict[str, str]:
        return {KEY: json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def read(cls, metadata: Mapping[str, bytes]) -> Self | None:
        """None where the file says nothing: live wrote what it holds, or an older replay."""
        if KEY not in metadata:
            return None
        found = json.loads(metadata[KEY])
        return cls(
            {int(p): (int(first), int(end)) for p, (first, end) in found["ranges"].items()},
            {int(p): int(start) for p, start in found["since"].items()},
            found["why_not"],
        )
