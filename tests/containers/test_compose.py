"""What the compose file promises without running anything: its format, its walls, its health checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft201909Validator

from tests.containers.compose import KAFKA, ROOT, Service, document, final_stage, services

SCHEMA = Path(__file__).with_name("compose_spec.json")  # of docker-compose 1.29, which Compose v2 extends
EVERY = list(services().values())


def test_the_file_is_a_compose_file() -> None:
    """docker-compose 1.29 refuses unknown keys and values, so what passes here is read by it and by Compose v2."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert [error.message for error in Draft201909Validator(schema).iter_errors(document())] == []


@pytest.mark.parametrize("service", EVERY, ids=lambda service: service.name)
def test_a_service_of_ours_has_no_rights(service: Service) -> None:
    """A user without privileges, nothing to write to but /tmp and its volume, no capability and no way to one."""
    assert service.raw["read_only"] is True
    assert service.raw["tmpfs"] == ["/tmp"]
    assert service.raw["cap_drop"] == ["ALL"]
    assert service.raw["security_opt"] == ["no-new-privileges:true"]
    assert ("USER", service.user) in final_stage()
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices", "ports"} & service.raw.keys()
    binds = [each for each in service.raw["volumes"] if each.startswith((".", "/"))]
    for bind in binds:
        source, _, mode = bind.split(":")
        assert mode == "ro"
        assert (ROOT / source).is_file()


def test_the_image_is_made_by_one_service_before_any_other_needs_it() -> None:
    """Where several make it, Compose v2 does so at once, and all but one may find that its name is taken."""
    (maker,) = [service.name for service in EVERY if "build" in service.raw]
    after = {service.name: set(service.after) for service in EVERY}

    def waits(name: str) -> bool:
        return maker in after.get(name, ()) or any(map(waits, after.get(name, ())))

    assert [service.name for service in EVERY if service.name != maker and not waits(service.name)] == []
    assert {service.raw["pull_policy"] for service in EVERY} == {"never"}


def test_only_this_host_reaches_the_broker() -> None:
    """It has no authentication, so its port is bound to loopback."""
    assert document()["services"][KAFKA]["ports"] == ["127.0.0.1:9092:9092"]


def test_only_workers_are_asked_for_their_health() -> None:
    """Other commands have no endpoint: with the image's check an engine would call them unhealthy."""
    assert [service.name for service in EVERY if service.checks_health] == ["worker"]
    assert {service.name: service.scale for service in EVERY if service.scale != 1} == {"worker": 2}
