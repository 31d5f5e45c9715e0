"""Old bytes stay readable: every golden version, and a schema that gains a field."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from streammon.adapters.schema_files import Schema, load_schema
from streammon.core.errors import UsageError
from tests.golden import make, oracle

NEW_FIELD = {"name": "region", "type": ["null", "string"], "default": None, "doc": "Where the service runs."}
SINGLE = [case for case in make.cases() if isinstance(make.content(case), dict)]


def grown(folder: Path, name: str, keep_old: bool = True) -> Schema:
    """The schema `name` one version later, with a nullable field more."""
    old = oracle.schema(name)
    (folder / f"{name}.avsc").write_text(json.dumps(old | {"fields": [*old["fields"], NEW_FIELD]}))
    if keep_old:
        shutil.copytree(oracle.SCHEMAS / "history", folder / "history")
        (folder / "history" / f"{make.current(name)}.avsc").write_text(json.dumps(old))
    return load_schema(name, folder)


@pytest.mark.parametrize("case", SINGLE)
def test_the_current_reader_reads_every_golden_version(case: str) -> None:
    """Fields that the record of the JSON names have its values, whatever version wrote them."""
    read = load_schema(case.partition(".")[0]).from_bytes(make.golden(case).read_bytes())
    expected = make.content(case)
    assert set(expected) <= set(read)
    for name in ("model_id", "topic", "kind", "ts", "position", "partition"):
        assert read.get(name) == expected.get(name)


@pytest.mark.parametrize("name", sorted({case.partition(".")[0] for case in SINGLE}))
def test_a_reader_with_a_new_nullable_field_reads_old_bytes(tmp_path: Path, name: str) -> None:
    """The new field is null, the others are as the old reader sees them."""
    data = make.golden(make.current(name)).read_bytes()
    new = grown(tmp_path, name).from_bytes(data)
    assert new.pop("region") is None
    assert repr(new) == repr(load_schema(name).from_bytes(data))  # repr: NaN equals NaN


def test_the_new_version_writes_its_own_fingerprint(tmp_path: Path) -> None:
    """Two versions differ in their first bytes, and an old reader refuses the new one by name."""
    schema = grown(tmp_path, "journal_entry")
    data = schema.to_bytes(make.content("journal_entry.1") | {"region": "eu"})
    assert schema.from_bytes(data)["region"] == "eu"
    with pytest.raises(UsageError, match=rf"{schema.identity.hex()}.*upgrade"):
        load_schema("journal_entry").from_bytes(data)


def test_without_its_history_a_version_is_unknown(tmp_path: Path) -> None:
    """So the old file must move to history/, and forgetting that fails here, not in production."""
    schema = grown(tmp_path, "journal_entry", keep_old=False)
    with pytest.raises(UsageError, match="does not know"):
        schema.from_bytes(make.golden("journal_entry.1").read_bytes())
