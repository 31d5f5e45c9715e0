"""docker-compose.yml and Dockerfile as data: what each service runs, as whom, with which environment and files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
HEALTH = ROOT / "docker" / "health.py"
KAFKA = "kafka"
IMAGE = "streammon"


@dataclass(frozen=True)
class Service:
    """One of streammon's. `mounts`: by path in the container, a path of the checkout or the name of a volume."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    mounts: Mapping[str, str]
    user: str
    scale: int
    after: Mapping[str, str]  # condition by name of the service
    raw: Mapping[str, Any]

    @property
    def checks_health(self) -> bool:
        """Whether it has the image's health check (docker-compose takes `disable: false` for one that does nothing)."""
        return "healthcheck" not in self.raw


def document() -> dict[str, Any]:
    """The file as YAML says it, with merges resolved and without interpolation."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def services() -> dict[str, Service]:
    """Those that run our image."""
    return {name: _service(name, raw) for name, raw in document()["services"].items() if raw["image"] == IMAGE}


def _service(name: str, raw: dict[str, Any]) -> Service:
    mounts = (each.split(":") for each in raw["volumes"])
    return Service(
        name=name,
        command=shlex.split(raw["command"]),
        environment=raw["environment"],
        mounts={target: source for source, target, *_ in mounts},
        user=raw["user"],
        scale=raw.get("scale", 1),
        after={other: needed["condition"] for other, needed in raw.get("depends_on", {}).items()},
        raw=raw,
    )


def instructions() -> list[tuple[str, str]]:
    """(instruction, argument) of the Dockerfile in order, without comments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", "").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def final_stage() -> list[tuple[str, str]]:
    """What makes the image itself, from its FROM on."""
    found = instructions()
    begin = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[begin:]


def image_environment() -> dict[str, str]:
    """What ENV sets in the image, PATH left out."""
    pairs = [shlex.split(rest) for word, rest in final_stage() if word == "ENV"]
    environment = dict(pair.split("=", 1) for each in pairs for pair in each)
    del environment["PATH"]
    return environment
