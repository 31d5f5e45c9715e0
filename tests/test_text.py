"""What other people wrote cannot act on whoever looks at it, and stays readable."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.text import MARK, hexdump, shown, without_controls

MARKUP = set("<>&'\"`")


@given(st.text())
def test_nothing_acts_and_nothing_is_lost(text: str) -> None:
    """One line, printable, no markup; undone as Python undoes its own escapes."""
    safe = shown(text, limit=10_000)
    assert safe.isprintable()
    assert not MARKUP & set(safe.replace(" < ", "").replace(" > ", ""))
    assert ast.literal_eval(f"'{safe}'") == text


@given(st.text(), st.integers(0, 30))
def test_what_is_cut_says_how_long_it_was(text: str, limit: int) -> None:
    safe = shown(text, limit)
    whole = shown(text, limit=10_000)
    if len(whole) <= limit:
        assert safe == whole
    else:
        kept, _, length = safe.rpartition(MARK)
        assert len(kept) <= limit
        assert whole.startswith(kept)
        assert length == f"({len(text):,} characters)"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("fraud-v2.1/prod:eu@3 (canary) #7", "fraud-v2.1/prod:eu@3 (canary) #7"),
        ("größe 模型 модель ٣", r"größe 模型 модель \u0663"),  # an Arabic digit moves what stands beside it
        ("\x1b[2J\x9b31m", r"\x1b[2J\x9b31m"),
        ("a\nb\tc\\d\r", r"a\nb\tc\\d\r"),
        ("<b>&amp;'\"`", r"\x3cb\x3e\x26amp;\x27\x22\x60"),
        ("p95 38 > 35, psi < 1", "p95 38 > 35, psi < 1"),
        ("a <b > c", r"a \x3cb > c"),
        ("user\u202egpj.exe\u2066\u200b\ufeff\u3164\u00ad", r"user\u202egpj.exe\u2066\u200b\ufeff\u3164\xad"),
        ("שלום", r"\u05e9\u05dc\u05d5\u05dd"),
        ("\ud800😀…", r"\ud800\U0001f600\u2026"),
        ("", ""),
    ],
)
def test_examples(text: str, safe: str) -> None:
    assert shown(text) == safe


@given(st.text())
def test_json_means_the_same_without_controls(text: str) -> None:
    safe = without_controls(json.dumps(text, ensure_ascii=False))
    assert json.loads(safe) == text
    assert not any(0x7F <= ord(character) < 0xA0 or character in "\u202e\u2028\x1b" for character in safe)


@given(st.binary(max_size=200), st.data())
def test_the_byte_is_pointed_at(data: bytes, draw: st.DataObject) -> None:
    """Or the end, which is one further; what is far from it is left out."""
    at = draw.draw(st.integers(0, len(data)))
    lines = list(hexdump(data, at, before=32, after=32))
    (pointer,) = [number for number, line in enumerate(lines) if "^^ byte" in line]
    assert f"byte {at}" in lines[pointer]
    if at < len(data):
        column = lines[pointer].index("^^")
        assert lines[pointer - 1][column : column + 2] == f"{data[at]:02x}"
    assert len(lines) <= 7
    assert all(line.isprintable() for line in lines)
