"""What the Dockerfile promises, without an engine: who runs, what gets in, how it starts and says that it lives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from docker.utils.build import exclude_paths

from tests.broker.jvm_broker import free_ports
from tests.containers.compose import DOCKERFILE, HEALTH, ROOT, final_stage, image_environment, instructions

INTRUDERS = (
    ".git/config",
    ".venv/bin/python",
    ".env",
    "secrets/kafka-password",
    "examples/ca.key",
    "examples/baselines/digits-0/baseline.json",
    "tests/conftest.py",
    "streammon/__pycache__/cli.cpython-311.pyc",
    "streammon/core/__pycache__/panes.nbi",
)


def copied() -> list[str]:
    """What COPY takes from the checkout."""
    arguments = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    return [source for sources in arguments for source in sources]


def test_the_image_runs_as_a_user_without_rights() -> None:
    """A number, which Kubernetes' runAsNonRoot can check; nothing after USER changes it."""
    (user,) = [rest for word, rest in final_stage() if word == "USER"]
    assert all(int(number) > 0 for number in user.split(":"))
    assert [word for word, _ in final_stage()][-3:] == ["HEALTHCHECK", "ENTRYPOINT", "CMD"]
    assert ("STOPSIGNAL", "SIGTERM") in final_stage()


def test_what_the_engine_starts_is_installed_and_no_shell_stands_between() -> None:
    """Entry point and health check are lists, so that signals reach the program."""
    (entry,) = [json.loads(rest) for word, rest in final_stage() if word == "ENTRYPOINT"]
    (health,) = [json.loads(rest.partition("CMD")[2]) for word, rest in final_stage() if word == "HEALTHCHECK"]
    installed = [rest for word, rest in instructions() if word == "RUN" and "install -m 755" in rest]
    for (program,) in (entry, health):
        assert f"/application/bin/{program}" in "".join(installed)


def test_no_host_and_no_secret_is_written_into_it() -> None:
    """Registries and indexes are arguments; what comes as an argument stays out of the last stage."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert "://" not in text
    assert [rest for word, rest in final_stage() if word == "ARG"] == ["VERSION"]
    assert {"NUMBA_CACHE_DIR", "STREAMMON_TELEMETRY__PORT", "PYTHONUNBUFFERED"} == image_environment().keys()


def test_what_is_copied_is_there_and_nothing_else_gets_to_the_engine(tmp_path: Path) -> None:
    """By Docker's own reading of .dockerignore: sources get in; history, environments, secrets and caches do not."""
    found = [path for source in copied() for path in (ROOT / source, *(ROOT / source).rglob("*"))]
    wanted = {str(path.relative_to(ROOT)) for path in found if path.is_file() and "__pycache__" not in path.parts}
    assert {"streammon/cli.py", "schemas/alert_event.avsc", "examples/digits.yaml", "docker/entrypoint"} <= wanted
    for name in (*wanted, *INTRUDERS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = exclude_paths(str(tmp_path), [line for line in lines if line and not line.startswith("#")])
    assert {name for name in sent if (tmp_path / name).is_file()} == wanted


# --- the entry point --------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder like /opt/streammon, where `streammon` says how it was started, and one kernel."""
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "docker" / "entrypoint", tmp_path / "bin" / "streammon-entrypoint")
    (tmp_path / "bin" / "streammon").write_text(
        '#!/bin/sh\nprintf \'%s\\n\' "$$" "${NUMBA_CPU_NAME-none}" "$@"\n', encoding="utf-8"
    )
    (tmp_path / "bin" / "streammon").chmod(0o755)
    (tmp_path / "kernels" / "core_1").mkdir(parents=True)
    (tmp_path / "kernels" / "core_1" / "panes.nbi").write_text("compiled", encoding="utf-8")
    return tmp_path


def enter(installed: Path, cache: Path, *arguments: str) -> list[str]:
    """What the entry point starts prints; fails unless that is its own process."""
    environment = {"PATH": f"{installed / 'bin'}:{os.defpath}", "NUMBA_CACHE_DIR": str(cache)}
    process = subprocess.Popen(
        ["streammon-entrypoint", *arguments], env=environment, stdout=subprocess.PIPE, text=True, cwd=installed
    )
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    number, *rest = said.splitlines()
    assert int(number) == process.pid
    return rest


def test_kernels_lie_in_a_folder_that_can_be_written(installed: Path) -> None:
    """At every start: links to the image's, which stay as they are when numba puts its own in their place."""
    cache = installed / "tmp" / "numba"
    for _ in range(2):
        assert enter(installed, cache, "run", "--start", "2026-01-30 12:00", "*")[1:] == [
            "run",
            "--start",
            "2026-01-30 12:00",
            "*",
        ]
        assert (cache / "core_1" / "panes.nbi").readlink() == installed / "kernels" / "core_1" / "panes.nbi"
    (cache / "core_1" / "panes.nbi").unlink()
    (cache / "core_1" / "panes.nbi").write_text("another", encoding="utf-8")
    enter(installed, cache)
    assert (cache / "core_1" / "panes.nbi").read_text(encoding="utf-8") == "another"
    assert (installed / "kernels" / "core_1" / "panes.nbi").read_text(encoding="utf-8") == "compiled"


def test_it_starts_without_kernels_and_where_nothing_can_be_written(installed: Path) -> None:
    """As when the image is made; and `--help` needs neither: a command that needs a folder says so itself."""
    (installed / "file").touch()
    assert enter(installed, installed / "file" / "numba", "--help")[1:] == ["--help"]
    shutil.rmtree(installed / "kernels")
    assert enter(installed, installed / "tmp", "--help")[1:] == ["--help"]


# --- the health check -------------------------------------------------------------------------------------------------


@contextmanager
def endpoint(status: int, token: str | None = None) -> Iterator[int]:
    """A port where /live is answered with a status, for those who bring the token if there is one."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            welcome = token is None or self.headers["Authorization"] == f"Bearer {token}"
            self.send_response((status if self.path == "/live" else 404) if welcome else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def healthy(port: int, **settings: str) -> bool:
    nowhere = "http://127.0.0.1:9"  # a proxy
    environment = {f"STREAMMON_TELEMETRY__{name}": value for name, value in {"PORT": str(port), **settings}.items()}
    done = subprocess.run(
        [sys.executable, str(HEALTH)],
        env=environment | {"http_proxy": nowhere, "HTTP_PROXY": nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # what an engine understands
    assert "Traceback" not in done.stderr
    return done.returncode == 0


def test_the_health_check_says_what_the_endpoint_says(tmp_path: Path) -> None:
    """Also where the environment names a proxy for everything, and where the endpoint wants a token."""
    with endpoint(200) as port:
        assert healthy(port)
    with endpoint(503) as port:
        assert not healthy(port)
    (nobody,) = free_ports(1)
    assert not healthy(nobody)
    secret = tmp_path / "token"
    secret.write_text("s3cret\n", encoding="utf-8")
    with endpoint(200, "s3cret") as port:
        assert healthy(port, TOKEN="s3cret")
        assert healthy(port, TOKEN_FILE=str(secret))
        assert not healthy(port)
