"""One way through the whole line for every kind of bad input: settings, decoder, engine, sink, by `streammon replay`.

Bad records stand among good ones. The same stream without the bad ones says what must come of the good ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
import yaml

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.codec import to_bytes
from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope, EnvelopeWriter
from streammon.cli import main
from streammon.core.journal import JournalEntry
from streammon.settings import load, plan
from tests.oracle import files

MINUTE = 60_000_000
START = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z, a whole minute
TOPIC = "inference-events"
ERRORS = "__streammon.errors."
HEADERS = (("trace", b"\x00\xff"), ("trace", None), ("", b""))  # as hostile as Kafka allows
SETTINGS: dict[str, Any] = {
    "windows": ["1m"],
    "allowed_lateness": "0s",
    "device": "cpu",
    "models": [{"match": "fraud*", "features": 4, "classes": ["a", "b"], "embedding": 3}],
}
GOOD: dict[str, Any] = {
    "ts": START,
    "req_id": "r",
    "model_id": "fraud",
    "model_version": "1",
    "lane": "prod",
    "timed_out": False,
    "data_hash": None,
    "git_commit": None,
    "user_id_hash": None,
    "feature_hash": None,
    "latency_ms": 5.0,
    "http_status": 200,
    "score": 0.5,
    "prediction": "a",
    "prediction_value": None,
    "weight": None,
    "probs": [0.5, 0.5],
    "features": [1.0, 2.0, 3.0, 4.0],
    "categories": [],
    "embedding": [0.0, 1.0, 2.0],
    "gauges": None,
}
EVENT_SCHEMA: Any = files.EVENT_SCHEMA
EVENT_FIELDS: list[str] = [field["name"] for field in EVENT_SCHEMA["fields"]]


def event(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


def parts(**changes: Any) -> dict[str, bytes]:
    """An event's datum in pieces, by field, to be tampered with."""
    values, pieces = event(**changes), {}
    for field in EVENT_SCHEMA["fields"]:
        out = BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(field["type"]), values[field["name"]])
        pieces[field["name"]] = out.getvalue()
    return pieces


def tampered(**pieces: bytes) -> bytes:
    """An event in which the bytes of some fields are others."""
    return files.MARKER + files.FINGERPRINT + b"".join((parts() | pieces)[name] for name in EVENT_FIELDS)


def frame(schema: Any) -> bytes:
    """What stands in front of a datum of this schema in single-object encoding."""
    return files.MARKER + files._fingerprint(schema)


@dataclass(frozen=True)
class Letter:
    """A dead letter, as a consumer of its topic sees it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]  # that the record had
    said: dict[str, str]  # ours, without their prefix


@dataclass(frozen=True)
class Outcome:
    summary: dict[str, Any]
    metrics: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    letters: list[Letter]

    def value(self, name: str, feature: str | None = None, model_id: str = "fraud") -> float | None:
        """A measurement of the minute that begins at START."""
        for metric in self.metrics:
            if (metric["window"]["start"], metric["model_id"]) == (START, model_id):
                for measurement in metric["measurements"]:
                    if (measurement["name"], measurement["feature"]) == (name, feature):
                        value: float | None = measurement["value"]
                        return value
        raise AssertionError(f"no {name} of {feature} of {model_id}")


class Stream:
    """Records of one partition, `step` microseconds apart, with the record timestamp at which they come."""

    def __init__(self, step: int = 1_000_000) -> None:
        self.envelopes: list[Envelope] = []
        self._step = step

    @property
    def now(self) -> int:
        """Timestamp of the next record, microseconds."""
        return START + len(self.envelopes) * self._step

    def add(self, value: bytes | None, key: bytes | None = b"fraud") -> int:
        """Append a record; returns its offset."""
        offset, milliseconds = len(self.envelopes), self.now // 1000
        self.envelopes.append(Envelope(TOPIC, 0, offset, milliseconds, LOG_APPEND_TIME, key, value, HEADERS))
        return offset

    def good(self, count: int = 1, **changes: Any) -> None:
        for _ in range(count):
            self.add(files.encode(event(ts=self.now, req_id=f"r{len(self.envelopes)}") | changes))

    def close(self) -> None:
        """Events two minutes later, which close the windows so far."""
        while self.now < START + 3 * MINUTE:
            self.good()


def stream_of(*values: bytes | None) -> list[Envelope]:
    """These records and no others."""
    stream = Stream()
    for value in values:
        stream.add(value)
    return stream.envelopes


class Line:
    """Runs streams through `streammon replay` under some settings."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture, self._runs = folder, capture, 0
        self.canonical = files.SCHEMAS / "inference_event.avsc"

    def configure(self, **changes: Any) -> Path:
        path = self.folder / f"{self._runs}.yaml"
        path.write_text(yaml.safe_dump(SETTINGS | changes), encoding="utf-8")
        return path

    def refusal(self, **changes: Any) -> str:
        """What `streammon replay` says of settings that it refuses."""
        code, out, err = self._replay(stream_of(files.encode(GOOD)), self.configure(**changes))
        assert (code, out) == (2, ""), (code, out, err)
        assert "Traceback" not in err
        return err

    @property
    def out(self) -> Path:
        """Directory of the last replay."""
        return self.folder / f"out{self._runs}"

    def run(
        self, envelopes: Sequence[Envelope], journal: Sequence[JournalEntry] | None = None, **changes: Any
    ) -> Outcome:
        """`journal`: that of the live run, which then decides everything."""
        code, out, err = self._replay(envelopes, self.configure(**changes), journal)
        assert (code, err) == (0, ""), err
        return Outcome(
            json.loads(out),
            _container(self.out / "metrics.avro"),
            _container(self.out / "alerts.avro"),
            [_letter(record) for record in _container(self.out / "dead_letters.avro")],
        )

    def _replay(
        self, envelopes: Sequence[Envelope], config: Path, journal: Sequence[JournalEntry] | None = None
    ) -> tuple[int, str, str]:
        self._runs += 1
        recording, decisions = self.folder / f"{self._runs}.avro", self.folder / f"journal{self._runs}.avro"
        with EnvelopeWriter(recording, bytes(16)) as writer:
            writer.write(envelopes)
        self._capture.readouterr()
        arguments = ["--config", config, "--from", recording, "--out", self.out, "--json"]
        if journal is not None:
            with EnvelopeWriter(decisions, bytes(16)) as writer:
                writer.write(
                    Envelope("journal", entry.partition, number, 0, LOG_APPEND_TIME, None, to_bytes(entry))
                    for number, entry in enumerate(journal)
                )
            arguments += ["--journal", decisions]
        code = main(["replay", *map(str, arguments)])
        return code, *self._capture.readouterr()

    def check(self, bad: Sequence[tuple[bytes, str, str | None]], **changes: Any) -> list[Letter]:
        """Good records between bad ones, which are (value, code, field). Returns the dead letters, as the bad were."""
        stream, offsets = Stream(), []
        for value, _, _ in bad:
            stream.good()
            offsets.append(stream.add(value))
        stream.good()
        stream.close()
        outcome = self.run(stream.envelopes, **changes)
        clean = self.run([e for e in stream.envelopes if e.offset not in offsets], **changes)
        counts: dict[str, int] = {}
        for _, code, _ in bad:
            counts[code] = counts.get(code, 0) + 1
        assert outcome.summary["dead_letters"] == counts
        assert (outcome.summary["events"], outcome.summary["late"]) == (len(stream.envelopes) - len(bad), 0)
        assert outcome.metrics == clean.metrics != []
        assert len(outcome.letters) == len(bad)
        for offset, letter, (value, code, field) in zip(offsets, outcome.letters, bad, strict=True):
            assert (letter.key, letter.value, letter.headers) == (b"fraud", value, HEADERS)
            assert (letter.said["code"], letter.said.get("field")) == (code, field)
            assert letter.said["message"]
            expected = {
                "topic": TOPIC,
                "partition": "0",
                "offset": str(offset),
                "first_seen": str(stream.envelopes[offset].timestamp),
                "bytes": str(len(value)),
                "hash": blake2b(value, digest_size=16).hexdigest(),
            }
            assert letter.said | expected == letter.said
        decode = decoder(self.configure(**changes))
        assert [decode(value) for value, _, _ in bad] == [code for _, code, _ in bad]
        return outcome.letters


def decoder(config: Path) -> Callable[[bytes], str]:
    """The verdict of the decoder alone."""
    alone = AvroDecoder(**json.loads(plan(load(config)).decoding))
    return lambda value: alone.explain(value).code.name


def _container(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return [_plain(record) for record in fastavro.reader(file) if isinstance(record, dict)]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return files.plain_times(record) if "window" in record else record


def _letter(record: dict[str, Any]) -> Letter:
    headers = tuple((header["key"], header["value"]) for header in record["headers"])
    said = {name.removeprefix(ERRORS): value.decode() for name, value in headers if name.startswith(ERRORS)}
    own = tuple(header for header in headers if not header[0].startswith(ERRORS))
    return Letter(record["key"], record["value"], own, said)
