"""The demo's folder: its own is replaced, anybody else's is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.core.errors import UsageError
from streammon.demo.folder import MARK, claimed


def test_a_folder_is_made_and_replaced_by_the_next_demo(tmp_path: Path) -> None:
    """With all that the one before left, half written or not."""
    folder = tmp_path / "a" / "b"
    with claimed(folder):
        (folder / "metrics.avro.partial").write_text("killed here")
        (folder / "baselines" / "digits-0").mkdir(parents=True)
        (folder / "events.avro").write_text("")
    with claimed(folder):
        assert [path.name for path in folder.iterdir()] == [MARK]


@pytest.mark.parametrize("name", ["notes.txt", "metrics.avro", ".git"])
def test_a_folder_that_no_demo_made_is_refused_and_untouched(tmp_path: Path, name: str) -> None:
    """Also where it holds files of the demo's names."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="left as it is: choose another --out"), claimed(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_note_put_into_the_folder_keeps_it(tmp_path: Path) -> None:
    """It would go with the rest."""
    with claimed(tmp_path):
        (tmp_path / "worker.log").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds something else \(notes.txt\)"), claimed(tmp_path):
        pass
    assert (tmp_path / "worker.log").read_text() == "old"


def test_a_link_in_the_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    """What it points to stays."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with claimed(tmp_path / "demo"):
        (tmp_path / "demo" / "baselines").symlink_to(tmp_path / "mine")
    with claimed(tmp_path / "demo"):
        assert not (tmp_path / "demo" / "baselines").exists()
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused while the first is at work."""
    with claimed(tmp_path):
        (tmp_path / "worker.log").write_text("first")
        with pytest.raises(UsageError, match="another demo is at work there"), claimed(tmp_path):
            pass
        assert (tmp_path / "worker.log").read_text() == "first"
    with claimed(tmp_path):
        pass


def test_where_nothing_can_be_written_that_is_said(tmp_path: Path) -> None:
    """A file in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"), claimed(tmp_path / "file" / "demo"):
        pass
