"""The live sink: one Kafka transaction a commit. The only class that touches a transaction.

begin ─► outputs ─► snapshot ─► offsets ─► commit
                 any error on the way: ─► abort (the same outputs are sent again)
                 fatal, or no answer:  ─► a new producer, and state is rebuilt
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streammon.adapters.changelog import Changelog
from streammon.adapters.codec import to_bytes
from streammon.adapters.dead_letters import dead_record
from streammon.adapters.kafka.errors import FENCED, LONGEST_OUTAGE, MEMBERSHIP, PERMANENT, connect, error_of, refusal
from streammon.adapters.kafka.source import LOGGER, KafkaSource
from streammon.adapters.late_records import late_record
from streammon.adapters.marked import Marked
from streammon.core.errors import Fenced, UsageError
from streammon.core.ports import CommitRefusedError, OutcomeUnknownError, Outputs

T = TypeVar("T")


class Topics(NamedTuple):
    """Names of the topics."""

    events: str
    metrics: str
    alerts: str
    dead_letters: str
    journal: str
    changelog: str
    late: str | None = None  # late events are counted, and go nowhere else

    @property
    def by_role(self) -> dict[str, str]:
        """Names of those that there are, by field."""
        return {role: name for role, name in self._asdict().items() if name is not None}


STEPS = ("before_begin", "after_outputs", "after_snapshot", "after_offsets", "before_commit", "after_commit")
"""The steps of a commit, as they are reported while it goes on."""

GROUP_SPEAKS = 1.0  # seconds after a heartbeat: by then the group has named a twin

FENCINGS = 5  # in a row, which no outage explains any more

QUEUED_KBYTES = 65_536  # of records on their way to the broker; what is more waits where it is


class KafkaSink:
    """Publishes outputs exactly once. `on_step` hears of each of STEPS."""

    def __init__(
        self,
        source: KafkaSource,
        options: Mapping[str, Any],
        transactional_id: str,
        topics: Topics,
        changelog: Changelog,
        timeout: float,
        on_step: Callable[[str], None] = lambda step: None,
        framed: bool = True,
        positions_kept: bool = True,
    ) -> None:
        """`timeout`: the transaction's, in seconds; below the session time-out. `framed`: see dead_letters.

        `positions_kept` False: the broker is known to lose them, and is not asked for those of the first commit.
        """
        self._source, self._topics, self._changelog, self._framed = source, topics, changelog, framed
        self._unproven = positions_kept  # until the broker has shown that it keeps positions
        self._timeout, self._on_step = timeout, on_step
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._options = {
            "logger": LOGGER,  # written when the client is polled, at each commit
            "linger.ms": 5,
            "queue.buffering.max.kbytes": QUEUED_KBYTES,
            **options,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(timeout * 1000),
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
        }
        self._process = secrets.token_hex(8)  # part of commit tokens: an instance id outlives processes
        self._commits = 0
        self._fencings = 0  # since the last commit that went through
        self._failed: tuple[str, KafkaError] | None = None  # topic and error of a record that was not delivered
        self._producer = self._new_producer(2 * timeout)

    def commit(self, outputs: Outputs) -> str:
        """Raises CommitRefusedError (undone, may be sent again) or OutcomeUnknownError."""
        with suppress(KafkaException):  # a fatal error shows below
            self._producer.poll(0)
        metadata = self._source.group_metadata()
        token = f"{self._process}:{self._commits}"
        offsets = [
            TopicPartition(self._topics.events, partition, position, token)
            for partition, position in outputs.positions.items()
        ]
        producer = self._producer
        self._failed = None
        self._on_step("before_begin")
        try:
            self._again(producer.begin_transaction)
            self._send(outputs)
            self._bounded(lambda: producer.send_offsets_to_transaction(offsets, metadata, self._timeout))
            self._on_step("after_offsets")
            self._on_step("before_commit")
            self._again(lambda: producer.commit_transaction(self._timeout))
        except KafkaException as exception:
            self._undo(exception)
        self._on_step("after_commit")
        if self._unproven and outputs.positions:
            self._prove(outputs.positions)
        self._changelog.committed()
        self._commits += 1
        self._fencings = 0
        return token

    def reset(self, fenced: bool) -> None:
        """A new producer. What the old one left open is aborted, at once under a fixed id, else by time-out.

        Fenced can also mean an epoch that the broker timed out, as in an outage. A worker with the same instance id
        shows in the membership, and ends this one there: the group is asked first, because a new producer would fence
        the twin. Without a word from the group it is believed the FENCINGS-th time in a row.
        """
        self._fencings = self._fencings + 1 if fenced else 0
        if self._fencings == FENCINGS:
            raise Fenced("the transactional producer is fenced time and again: another worker has taken over")
        deadline = time.monotonic() + self._source.heartbeat_seconds + GROUP_SPEAKS
        while fenced and time.monotonic() < deadline:
            self._source.heartbeat()
            time.sleep(0.05)
        self._producer = self._new_producer(LONGEST_OUTAGE)

    def close(self) -> None:
        """Nothing to flush: a commit is complete when it returns."""

    def _prove(self, positions: Mapping[int, int]) -> None:
        """A broker that loses the positions of transactions would have every event counted again at the next start."""
        lost = [partition for partition, kept in self._source.committed(list(positions)).items() if kept is None]
        if lost:
            raise UsageError(
                f"the broker at {self._bootstrap} does not keep the positions that a transaction commits (partition "
                f"{lost[0]} of {self._topics.events} has none), so nothing would be exactly once: use another broker"
            )
        self._unproven = False

    def _new_producer(self, patience: float) -> Producer:
        producer = connect(Producer, self._options)
        deadline = time.monotonic() + patience
        while True:
            try:
                producer.init_transactions(self._timeout)
                return producer
            except KafkaException as exception:
                error = error_of(exception)
                if not error.retriable() or time.monotonic() > deadline:
                    raise refusal(error, "opening transactions", self._bootstrap) from exception

    def _send(self, outputs: Outputs) -> None:
        topics = self._topics
        for metric in outputs.metrics:
            self._produce(topics.metrics, to_bytes(metric), key=metric.series.model_id.encode())
        for alert in outputs.alerts:
            self._produce(topics.alerts, to_bytes(alert), key=alert.series.model_id.encode())
        for letter in outputs.dead_letters:
            self._produce_marked(topics.dead_letters, dead_record(letter, topics.events, framed=self._framed))
        for late in outputs.late:
            assert topics.late is not None, "late records are kept where they have a topic"
            self._produce_marked(topics.late, late_record(late, topics.events, framed=self._framed))
        for entry in outputs.journal:
            self._produce(topics.journal, to_bytes(entry), key=str(entry.partition).encode(), partition=entry.partition)
        for partition, key, value in self._changelog.memory(outputs):
            self._produce(topics.changelog, value, key=key, partition=partition)
        self._on_step("after_outputs")
        for partition, key, value in self._changelog.snapshots(outputs):
            self._produce(topics.changelog, value, key=key, partition=partition)
        self._on_step("after_snapshot")

    def _produce_marked(self, topic: str, record: Marked) -> None:
        self._produce(topic, record.value, key=record.key, headers=list(record.headers))

    def _produce(self, topic: str, value: bytes | None, **where: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value=value, on_delivery=self._delivered, **where)
                return
            except BufferError:  # the local queue is full: let it drain
                self._producer.poll(0.1)
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() in PERMANENT and self._failed is None:
                    self._failed = (topic, error)
                raise

    def _again(self, call: Callable[[], T]) -> T:
        """Repeat a transaction call as long as the client says that this may help."""
        deadline = time.monotonic() + 2 * self._timeout
        while True:
            try:
                return call()
            except KafkaException as exception:
                if not error_of(exception).retriable() or time.monotonic() > deadline:
                    raise

    def _bounded(self, call: Callable[[], object]) -> None:
        """`_again`, given up where the client does not keep to its time-out: it may never return from sending offsets
        when the group's coordinator has gone away (librdkafka#5456). The thread is left behind with its producer.
        """
        raised: list[KafkaException] = []

        def run() -> None:
            try:
                self._again(call)
            except KafkaException as exception:
                raised.append(exception)

        thread = threading.Thread(target=run, name="send offsets", daemon=True)
        thread.start()
        thread.join(4 * self._timeout)
        if thread.is_alive():
            raise OutcomeUnknownError("the client does not return from sending offsets")
        if raised:
            raise raised[0]

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = (str(message.topic()), error)

    def _undo(self, exception: KafkaException) -> None:
        """Abort where that is possible; raises what the caller has to know."""
        error = error_of(exception)
        self._end_if_permanent(exception)
        fenced = error.code() in FENCED
        undoable = error.txn_requires_abort() or error.code() in MEMBERSHIP or error.code() == KafkaError._STATE
        if fenced or error.fatal() or not undoable:
            raise OutcomeUnknownError(f"{error.name()}: {error.str()}", fenced) from exception
        try:
            self._again(lambda: self._producer.abort_transaction(self._timeout))
        except KafkaException as second:
            raise OutcomeUnknownError(f"abort after {error.name()}: {error_of(second).str()}") from second
        self._end_if_permanent(exception)
        raise CommitRefusedError(f"{error.name()}: {error.str()}") from exception

    def _end_if_permanent(self, exception: KafkaException) -> None:
        """Raises a refusal if sending the same again would not help, for the reason why a record was not delivered."""
        with suppress(KafkaException):  # a fatal error, which is known already
            self._producer.poll(0)
        topic, cause = self._failed or ("", error_of(exception))
        if cause.code() in PERMANENT:
            raise refusal(cause, f"writing {topic}" if topic else "writing outputs", self._bootstrap) from exception
