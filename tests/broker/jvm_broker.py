"""Kafka brokers that a test may stop, kill, pause and start again, without losing their data or their ports.

`find_broker` takes the first that can be had: one that runs already (STREAMMON_TEST_BOOTSTRAP), a container, a process
of the local Java. Every kind answers to `Broker`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

KAFKA_VERSION = "4.1.1"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
POM = Path(__file__).parent / "pom.xml"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0

# What every test broker is set to, beside its listeners and folders.
SETTINGS: Mapping[str, str] = {
    # One node: internal topics have one replica, and few partitions, so that they are there at once.
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    # Tests do not wait: groups form at once, short sessions are allowed, dead transactions are aborted within a second.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "transaction.max.timeout.ms": "900000",
    # A killed broker may register again after this time, not the default 9 s.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    # A topic that nobody created is an error in the test.
    "auto.create.topics.enable": "false",
    # Event time is synthetic: records may carry any timestamp, and none is old enough to be deleted.
    "log.message.timestamp.after.max.ms": "9223372036854775807",
    "log.retention.ms": "-1",
    # The default, 128 MiB, does not fit beside the rest in a small heap.
    "log.cleaner.dedupe.buffer.size": "2097152",
}


class Unavailable(Exception):
    """This kind of broker cannot be had here; the text says why."""


class Broker(Protocol):
    """A broker under the control of a test. `breakable` is false where only `bootstrap` may be used."""

    bootstrap: str
    breakable: bool

    def start(self) -> None:
        """Start, or start again with the same data and address; returns when it answers. Does nothing if it runs."""

    def stop(self) -> None:
        """Shut down in order (SIGTERM). The data stay."""

    def kill(self) -> None:
        """Crash (SIGKILL). The data stay as the disk has them."""

    def pause(self) -> None:
        """Stop answering without closing a connection (SIGSTOP)."""

    def resume(self) -> None:
        """Go on after `pause`."""

    def restore(self) -> None:
        """Resume and start, whatever state a test left behind."""

    def close(self) -> None:
        """End for good and remove the data."""


def await_ready(bootstrap: str, timeout: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once the broker at `bootstrap` is a live member of its cluster and leads every partition that it names.

    The second matters after a restart: metadata tell the new leader before it serves. Raises Unavailable after
    `timeout` seconds, or as soon as `process` has ended.
    """
    deadline = time.monotonic() + timeout
    admin = AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,  # refused connections are expected here
        }
    )
    problem: object = "no connection"
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise Unavailable(f"the broker ended with status {process.returncode} while it started")
        try:
            metadata = admin.list_topics(timeout=1.0)
            every = [TopicPartition(name, p) for name, topic in metadata.topics.items() for p in topic.partitions]
            found = admin.list_offsets(dict.fromkeys(every, OffsetSpec.latest()), request_timeout=1.0) if every else {}
            for future in found.values():
                future.result(2.0)
            if metadata.brokers:
                return
        except (KafkaException, TimeoutError) as error:
            problem = error
        time.sleep(0.02)
    raise Unavailable(f"no broker at {bootstrap} was ready within {timeout:.0f} s: {problem}")


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


# --- the jars ---------------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streammon"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock among all processes of this machine; it goes with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kafka_jars() -> Path:
    """The folder of the broker's jars, downloaded by Maven the first time.

    The folder appears under its name by one rename when the download is complete; parallel sessions wait for the first.
    """
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    with locked(folder.with_name(folder.name + ".lock")):
        if folder.is_dir():
            return folder
        maven = shutil.which("mvn")
        if maven is None:
            raise Unavailable("Maven (mvn) is not installed, and the broker's jars are not in the cache")
        partial = Path(tempfile.mkdtemp(prefix=folder.name + ".", suffix=".partial", dir=folder.parent))
        try:
            command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
            try:
                done = subprocess.run(
                    [*command, f"-DoutputDirectory={partial}"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    text=True,
                    timeout=600,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise Unavailable("Maven did not finish downloading the broker's jars within 10 minutes") from None
            if done.returncode != 0 or not any(partial.glob(f"kafka_2.13-{KAFKA_VERSION}.jar")):
                raise Unavailable(f"Maven could not download the broker's jars:\n{done.stdout.strip()[-2000:]}")
            partial.chmod(0o755)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder


def java_command() -> str:
    """The `java` of JAVA_HOME or of the path, if it is at least version 17."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java" if home else "java")
    if java is None:
        raise Unavailable("Java is not installed (the broker needs version 17 or later)")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    version = told.partition('version "')[2].partition('"')[0].partition(".")[0]
    if not version.isdigit() or int(version) < 17:
        raise Unavailable(f"{java} is version {version or 'unknown'}; the broker needs 17 or later")
    return java


# --- a process --------------------------------------------------------------------------------------------------------


class JvmBroker:
    """A broker and its controller in one Java process, on loopback, with its data and its log below `folder`.

    The process ends with this one, however this one ends: a watchdog shell holds the other end of a pipe and kills the
    broker when the pipe closes.
    """

    breakable = True

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, users: Mapping[str, str] | None = None
    ) -> None:
        """Nothing runs before `start`. `settings` go before those of SETTINGS.

        With `users` (password by name) there is a second address, `guarded`: SASL/PLAIN without TLS, where everything
        is denied that no ACL allows. `bootstrap` stays open, and everybody there is a super user.
        """
        self.folder = folder
        self.bootstrap = ""
        self.guarded = ""
        self._users = users or {}
        self.log = folder / "broker.log"
        self._java = java_command()
        self._jars = kafka_jars()
        self._settings = {**SETTINGS, **(settings or {})}
        self._properties = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def pid(self) -> int | None:
        """The process id while the broker runs (paused or not), else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        if self.pid is not None:
            return
        if self.bootstrap:
            self._launch()
            return
        attempts = 3  # another process may take a free port before the broker does
        for attempt in range(1, attempts + 1):
            self._format()
            try:
                self._launch()
                return
            except Unavailable:
                if attempt == attempts or "Address already in use" not in self.log.read_text(errors="replace"):
                    raise
                self.log.unlink()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGSTOP)
            self._paused = True

    def resume(self) -> None:
        if self._paused and self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)
        self._paused = False

    def restore(self) -> None:
        self.resume()
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def _format(self) -> None:
        """Choose ports, write the settings and format the data folder."""
        port, controller, guarded = free_ports(3)
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(data),
            **self._settings,
        }
        if self._users:
            settings |= _guarded(settings, guarded, self._users)
            self.guarded = f"127.0.0.1:{guarded}"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A leading dash would be taken for an option.
        arguments = ["format", "--standalone", f"--cluster-id={cluster}", "-c", str(self._properties)]
        done = subprocess.run(
            self._command("kafka.tools.StorageTool", *arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"the broker's data folder could not be formatted:\n{done.stdout}{done.stderr}")
        self._address = f"127.0.0.1:{port}"

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for the tests, which then end the broker in order.
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watchdog = subprocess.Popen(
            ["sh", "-c", 'read -r _; kill -KILL "$1"', "watchdog", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._paused = False
        try:
            await_ready(self._address, START_TIMEOUT, self._process)
        except Unavailable as problem:
            self.kill()
            raise Unavailable(
                f"{problem}; the end of {self.log}:\n{self.log.read_text(errors='replace')[-2000:]}"
            ) from None
        self.bootstrap = self._address

    def _end(self, how: signal.Signals) -> None:
        process, watchdog = self._process, self._watchdog
        self._process = self._watchdog = None
        if watchdog is not None:
            # Before the broker is waited for: until then no other process can have its id.
            watchdog.kill()
            watchdog.communicate()
        if process is None:
            return
        process.send_signal(how)
        if self._paused:
            process.send_signal(signal.SIGCONT)  # a stopped process takes SIGTERM only when it goes on
            self._paused = False
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def _command(self, main_class: str, *arguments: str) -> list[str]:
        options = [
            "-Xmx1g",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        return [self._java, *options, "-cp", f"{self._jars}/*", main_class, *arguments]


def _guarded(settings: Mapping[str, str], port: int, users: Mapping[str, str]) -> dict[str, str]:
    """Settings with one more listener, for users with a password, and an authorizer."""
    passwords = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    address = f"GUARDED://127.0.0.1:{port}"
    return {
        "listeners": f"{settings['listeners']},{address}",
        "advertised.listeners": f"{settings['advertised.listeners']},{address}",
        "listener.security.protocol.map": f"{settings['listener.security.protocol.map']},GUARDED:SASL_PLAINTEXT",
        "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": f"{login} required {passwords};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",  # whoever comes through a listener without passwords
    }


# --- a container ------------------------------------------------------------------------------------------------------


class DockerBroker:
    """The same broker in a container of the official image, reached through one fixed port of this host."""

    breakable = True

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """Nothing runs before `start`. Raises Unavailable if no Docker daemon answers at once."""
        self.bootstrap = ""
        self._settings = {**SETTINGS, **(settings or {})}
        self._container: Any = None
        self._paused = False
        # In a process of its own: a daemon that hangs is given up for certain, and the library's sockets go with it.
        ping = "import docker; docker.from_env(timeout=2).ping()"
        try:
            subprocess.run([sys.executable, "-c", ping], check=True, capture_output=True, timeout=10)
        except subprocess.SubprocessError:
            raise Unavailable("no Docker daemon answers") from None

    def start(self) -> None:
        if self._container is None:
            self._create()
            return
        if self._wrapped().status != "running":
            self._wrapped().start()
            await_ready(self.bootstrap, START_TIMEOUT)

    def stop(self) -> None:
        self._wrapped().stop(timeout=int(STOP_TIMEOUT))

    def kill(self) -> None:
        self._wrapped().kill()

    def pause(self) -> None:
        self._wrapped().pause()
        self._paused = True

    def resume(self) -> None:
        if self._paused:
            self._wrapped().unpause()
        self._paused = False

    def restore(self) -> None:
        self.resume()
        self.start()

    def close(self) -> None:
        if self._container is not None:
            self._container.stop()  # removes the container and its volume as well

    def _wrapped(self) -> Any:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return wrapped

    def _create(self) -> None:
        from testcontainers.core.container import DockerContainer

        (port,) = free_ports(1)
        settings = {
            "node.id": "1",
            "process.roles": "broker,controller",
            "controller.quorum.voters": "1@localhost:9093",
            "controller.listener.names": "CONTROLLER",
            # The same port inside as outside: the broker reaches itself, for transactions, where it says that it is.
            "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            **self._settings,
        }
        container = DockerContainer(IMAGE).with_bind_ports(port, port)
        for name, value in settings.items():
            container = container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        container = container.with_env("KAFKA_HEAP_OPTS", "-Xmx1g")
        try:
            container.start()
            self._container = container
            await_ready(f"127.0.0.1:{port}", START_TIMEOUT)
        except Exception as problem:  # the image cannot be pulled, the port is taken, ...
            with suppress(Exception):
                container.stop()
            self._container = None
            raise Unavailable(f"the container of {IMAGE} did not start: {problem}") from None
        self.bootstrap = f"127.0.0.1:{port}"


# --- one that runs already --------------------------------------------------------------------------------------------


class ExistingBroker:
    """Somebody else's broker: tests use it and leave it alone."""

    breakable = False

    def __init__(self, bootstrap: str) -> None:
        """Raises Unavailable if nobody answers at `bootstrap` within 10 s."""
        await_ready(bootstrap, 10.0)
        self.bootstrap = bootstrap

    def start(self) -> None:
        pass

    def restore(self) -> None:
        pass

    def close(self) -> None:
        pass

    def stop(self) -> None:
        raise AssertionError(f"the broker at {self.bootstrap} is not ours to stop, kill or pause")

    kill = pause = resume = stop


def find_broker(folder: Path) -> Broker:
    """A running broker: STREAMMON_TEST_BOOTSTRAP if set, else a container, else a Java process.

    An existing broker that does not answer is an error and not passed over: whoever named it meant that one. Raises
    Unavailable with every reason if there is none.
    """
    existing = os.environ.get("STREAMMON_TEST_BOOTSTRAP")
    if existing:
        return ExistingBroker(existing)
    reasons = []
    broker: Broker
    for make in (DockerBroker, lambda: JvmBroker(folder)):
        try:
            broker = make()
            broker.start()
            return broker
        except Unavailable as problem:
            reasons.append(str(problem))
    raise Unavailable("; ".join(reasons))
