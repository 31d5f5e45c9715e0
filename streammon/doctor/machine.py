"""Findings about this machine: what a worker computes with, and whether it has room."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from streammon import __version__
from streammon.core.baseline import Layout
from streammon.core.memory import state_bytes
from streammon.core.plan import Plan
from streammon.doctor.finding import Finding, fail, ok, unknown, warn
from streammon.outline import number, size_text
from streammon.settings import Settings
from streammon.telemetry.server import USUAL_PORT

PACKAGES = ("confluent-kafka", "torch", "numba", "numpy")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def of_versions() -> Finding:
    from streammon.adapters.kafka.probe import CLIENT_VERSION

    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    python = platform.python_version()
    return ok("versions", f"streammon {__version__}, Python {python}, {packages}, librdkafka {CLIENT_VERSION}")


def of_device(settings: Settings) -> Finding:
    import torch

    cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not cuda:
        return fail("device", "device is cuda, but torch finds no CUDA device here", "choose cpu or auto")
    chosen = torch.cuda.get_device_name() if cuda and settings.device != "cpu" else "cpu"
    return ok("device", f"{settings.device}: drift tests run on {chosen}")


def of_cache() -> Finding:
    """Where compiled code is kept between starts."""
    from streammon.core.timeline import route

    folder = Path(route.stats.cache_path)
    if os.access(folder if folder.exists() else folder.parent, os.W_OK):
        return ok("compiled code", f"kept in {folder}")
    return warn(
        "compiled code",
        f"{folder} cannot be written: every start compiles for some ten seconds",
        "set NUMBA_CACHE_DIR to a folder that can",
    )


def of_memory(plan: Plan, layouts: list[Layout], partitions: int, free: int | None) -> Finding:
    """Whether all series that the plan allows would fit, in one worker that has all partitions."""
    most = max(state_bytes(plan, layout) for layout in [Layout(), *layouts]) * partitions
    text = (
        f"state takes up to {size_text(most)}: {plan.max_series:,} series x {plan.live_panes:,} panes x "
        f"{number(partitions, 'partition')}"
    )
    if free is None:
        return unknown("memory", f"{text}; how much is free is not known here")
    if most > free:
        return warn(
            "memory",
            f"{text}, all on one worker; {size_text(free)} are free",
            "lower limits.series_per_partition, use shorter windows, or share the partitions among more machines",
        )
    return ok("memory", f"{text}; {size_text(free)} are free")


def free_memory() -> int | None:
    """Bytes that this process could still take: of the machine, or of its container if that has less."""
    bounds = []
    try:
        available = [line.split() for line in MEMINFO.read_text().splitlines() if line.startswith("MemAvailable:")]
        bounds += [int(words[1]) * 1024 for words in available]
    except OSError:
        pass
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        bounds += [] if limit == "max" else [int(limit) - int(used)]
    except OSError:
        pass
    return min(bounds, default=None)


def of_telemetry(settings: Settings) -> Finding:
    telemetry = settings.telemetry
    if not telemetry.enabled:
        return ok("telemetry", "switched off")
    if telemetry.port == "auto":
        return ok("telemetry", f"on {telemetry.address}:{USUAL_PORT}, or a free port where that is taken")
    family = socket.AF_INET6 if ":" in telemetry.address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((telemetry.address, telemetry.port))
        except OSError as error:
            return warn(
                "telemetry",
                f"{telemetry.address}:{telemetry.port} cannot be taken ({error.strerror})",
                "a worker that runs already? Give each its own telemetry.port",
            )
    return ok("telemetry", f"{telemetry.address}:{telemetry.port} is free")


def of_machine(settings: Settings) -> Iterator[Finding]:
    """What needs no broker."""
    yield of_versions()
    yield of_device(settings)
    yield of_cache()
    yield of_telemetry(settings)
