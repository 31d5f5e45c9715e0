"""YAML: every key has a line, and what is ambiguous is refused without quoting it."""

from __future__ import annotations

import pytest

from streammon.core.errors import UsageError
from streammon.settings.document import parse


def test_every_key_and_item_has_its_line() -> None:
    document = parse("a: 1\nb:\n  c:\n  - x\n  - {d: 2,\n     e: 3}\n", "f")
    assert document.data == {"a": 1, "b": {"c": ["x", {"d": 2, "e": 3}]}}
    lines = {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 1): 5, ("b", "c", 1, "d"): 5, ("b", "c", 1, "e"): 6}
    assert {path: document.line(path) for path in lines} == lines
    assert document.line(("b", "c", 1, "missing")) == 5
    assert document.line(("missing",)) == 1


def test_a_merged_mapping_may_be_overridden_and_used_twice() -> None:
    document = parse("base: &b {x: 1, y: 1}\none: {<<: *b, x: 2}\ntwo:\n  <<: *b\n  y: 3\n", "f")
    assert document.data["one"] == {"x": 2, "y": 1}
    assert document.data["two"] == {"x": 1, "y": 3}
    assert document.line(("two", "y")) == 5


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3", "f:5: c: duplicate key, first on line 3: keep one"),
        ("- {a: 1,\n   a: 2}", "f:2: a: duplicate key, first on line 1: keep one"),
        ("a: 1\n3: 4", "f:2: a key should be text: put it in quotes"),
        ("a: 1\non: 4", "f:2: a key should be text: put it in quotes"),
        ("? [a]\n: 4", "f:1: a key should be text: put it in quotes"),
        ("a: 1\nb: [1", "f:2: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 1", "f:2: but found another document"),
        ("a: 1\nb: 2026-13-45", "f:2: a value that looks like a number or date, but is none: put it in quotes"),
        ("a: !!python/object:os.system x", "f:1: could not determine a constructor for the tag ..."),
        ("a: *hunter2", "f:1: found undefined alias ..."),
        ("a: !hunter2'x y", "f:1: could not determine a constructor for the tag ..."),
        ("a: 1\nb: \x01", "f:2: a character that YAML does not allow"),
        ("a: " + "[" * 5_000, "f:1: nested too deeply"),
        ("a: &a [*a]", "f:1: nested too deeply"),
        ("a: {<<: [{b: 1}]}", "f:1: << takes one mapping here"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "f")
    assert str(caught.value).startswith(said)
    assert caught.value.__context__ is None


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    text = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    with pytest.raises(UsageError, match="more than 100000 values"):
        parse(text, "f")
