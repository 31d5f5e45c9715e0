"""The services of the compose file as processes of this machine: the same command, user and environment.

A container's paths become folders of the test, the broker's address that of the test's; topics and group get names of
their own. User: where this process is root, that of the file with one right, to read everything (a checkout need not be
open to all). What only an engine gives, such as a read-only file system, is not here: docs/containers.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

from tests.broker.jvm_broker import free_ports
from tests.broker.kafka_tools import eventually
from tests.containers.compose import HEALTH, KAFKA, ROOT, Service, image_environment

START_SECONDS = 90.0
END_SECONDS = 15.0  # stop_grace_period
ADDRESS = f"{KAFKA}:19092"


class Container:
    """One process of a service."""

    def __init__(self, service: Service, folder: Path, bootstrap: str, environment: Mapping[str, str]) -> None:
        """`folder` holds what is behind volumes, and logs; `environment` goes over that of image and service."""
        self.service = service
        self._paths = {"/tmp": str(folder / "tmp")} | {
            target: str(ROOT / source) if source.startswith(".") else str(folder / source)
            for target, source in service.mounts.items()
        }
        self._bootstrap = bootstrap
        (port,) = free_ports(1)
        image = image_environment() | {"STREAMMON_TELEMETRY__PORT": str(port)}  # containers have each their own 9464
        self._environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath, "LANG": "C.UTF-8"} | {
            name: self._here(value) for name, value in (image | dict(service.environment) | dict(environment)).items()
        }
        self._user = _as_user(service.user)
        self.log = folder / f"{service.name}.{port}.log"
        command = [sys.executable, "-m", "streammon", *map(self._here, service.command)]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [*self._user, *command], stdout=file, stderr=file, cwd=self._here("/data"), env=self._environment
            )

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def completed(self) -> bool:
        """Whether it has ended; fails if not with success."""
        code = self.process.poll()
        assert code in (None, 0), f"{self.service.name}: exit code {code}\n{self.said()}"
        return code == 0

    def healthy(self) -> bool:
        """What the image's health check says; fails if the process has ended."""
        assert self.process.poll() is None, f"{self.service.name} has ended\n{self.said()}"
        command = [*self._user, sys.executable, str(HEALTH)]
        asked = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        return asked.returncode == 0

    def stop(self) -> int:
        """The exit code after SIGTERM, within the time that the compose file gives."""
        self.process.terminate()
        return self.process.wait(END_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _here(self, text: str) -> str:
        """A word of a command, or a value, with this machine's paths and address in the place of the container's."""
        targets = "|".join(map(re.escape, self._paths))
        found = re.sub(rf"(?<![\w./-])({targets})(?![\w.-])", lambda match: self._paths[match[1]], text)
        return found.replace(ADDRESS, self._bootstrap)


def make_folder(folder: Path, volumes: list[str], user: str) -> None:
    """Folders for volumes and /tmp that the user owns, with our compiled code where numba looks for it in the image."""
    kernels = folder / "tmp" / "numba"
    for index in (ROOT / "streammon").rglob("__pycache__/*.nb?"):
        place = kernels / UserProvidedCacheLocator.get_suitable_cache_subpath(str(index.parents[1] / "module.py"))
        place.mkdir(parents=True, exist_ok=True)
        (place / index.name).symlink_to(index)
    for name in ("tmp", *volumes):
        (folder / name).mkdir(exist_ok=True)
        for path in (folder / name, *(folder / name).rglob("*")):
            if os.geteuid() == 0:
                uid, gid = map(int, user.split(":"))
                os.chown(path, uid, gid, follow_symlinks=False)


def up(services: Mapping[str, Service], start: Callable[[Service], Container]) -> dict[str, list[Container]]:
    """Start each service as soon as what it depends on has got there; return when all are started, by name."""
    started: dict[str, list[Container]] = {}

    def has(condition: str, name: str) -> bool:
        if name == KAFKA:
            return True
        if name not in started:
            return False
        if condition == "service_completed_successfully":
            return all(each.completed() for each in started[name])
        assert condition == "service_healthy", condition
        return all(each.healthy() for each in started[name])

    def all_started() -> bool:
        for name, service in services.items():
            if name not in started and all(has(condition, other) for other, condition in service.after.items()):
                started[name] = [start(service) for _ in range(service.scale)]
        return len(started) == len(services)

    eventually(all_started, "every service is started", START_SECONDS, every=0.5)  # asking for health costs 0.1 s
    return started


def _as_user(user: str) -> list[str]:
    """What runs a command as that user, without any other right, if this process may."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    uid, gid = user.split(":")
    rights = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]
    return ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs", *rights]
