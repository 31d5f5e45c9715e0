"""What `tail --json` prints of an event: every field, named as in its schema."""

from __future__ import annotations

import json
from dataclasses import replace

from streammon.commands.tail import alert_values
from streammon.core.outputs import Distribution
from tests.telemetry.samples import alert


def test_an_alert_shows_the_distribution_behind_it() -> None:
    """By the names of its fields, not as a bare list; null where there is none."""
    found = replace(alert(), distribution=Distribution("feature", (18.5,), (), (3, 9), (6, 6)))
    printed = json.loads(json.dumps(alert_values(found)))
    assert printed["distribution"] == {
        "name": "feature",
        "bounds": [18.5],
        "labels": [],
        "current": [3, 9],
        "reference": [6, 6],
    }
    assert printed["measurement"]["name"] == found.measurement.name
    assert alert_values(replace(found, distribution=None))["distribution"] is None
