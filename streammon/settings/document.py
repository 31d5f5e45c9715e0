"""YAML 1.1, safe subset, as plain data with the line of every key.

Beyond PyYAML: a duplicate key is refused (PyYAML keeps the last), a key is text, and the data is bounded, so that
aliases of aliases cannot fill the memory. Messages never quote the text of the file, which may hold a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from streammon.core.errors import UsageError
from streammon.settings.problems import Place, key_name

MAX_VALUES = 100_000

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_MAPPING = "tag:yaml.org,2002:map"
_SEQUENCE = "tag:yaml.org,2002:seq"

_QUOTED = re.compile(r"""(?P<harmless>'(?:[^\w\s]|<[a-z ]+>)')|['"].*""", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """What a YAML text holds. `lines` count from 1; those of list items included."""

    data: Any
    lines: dict[Place, int]

    def line(self, path: Place) -> int:
        """Of the key, or of the nearest key around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, name: str) -> Document:
    """Read one YAML document; `name` says in errors where it comes from."""
    try:
        # The pure Python loader: libyaml's would bypass the check for duplicate keys, and a file of settings is short.
        loader = _Loader(text)
        root = loader.get_single_node()
        builder = _Builder(loader)
        data = None if root is None else builder.build(root, ())
        return Document(data, builder.lines)
    except yaml.reader.ReaderError as error:
        line, problem = text.count("\n", 0, error.position) + 1, "a character that YAML does not allow"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, problem = (mark.line + 1 if mark else 1), _redact(error.problem or error.context or "not valid YAML")
    except RecursionError:
        line, problem = 1, "nested too deeply"
    raise UsageError(f"{name}:{line}: {problem}")


class _Refused(yaml.MarkedYAMLError):
    """Ours: the message holds nothing to hide."""

    def __init__(self, problem: str, node: yaml.Node) -> None:
        super().__init__(None, None, problem, node.start_mark)


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> Any:
        """Checks keys here, before merge keys (`<<`) add keys that the mapping may well override."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, value in node.value:
            if key.tag not in (_TEXT, _MERGE):
                raise _Refused("a key should be text: put it in quotes", key)
            if key.tag == _MERGE and not isinstance(value, yaml.MappingNode):
                raise _Refused("<< takes one mapping here: lists of lists of them would grow without bound", key)
            if key.value in seen:
                raise _Refused(f"{key_name(key.value)}: duplicate key, first on line {seen[key.value]}: keep one", key)
            seen[key.value] = key.start_mark.line + 1
        return node


class _Builder:
    def __init__(self, loader: _Loader) -> None:
        self.loader = loader
        self.lines: dict[Place, int] = {}
        self.values = 0

    def build(self, node: yaml.Node, path: Place) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise _Refused(f"more than {MAX_VALUES} values, with aliases expanded", node)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except ValueError:  # PyYAML passes on what datetime and int say: 2026-13-45
            raise _Refused("a value that looks like a number or date, but is none: put it in quotes", node) from None

    def _mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        self.loader.flatten_mapping(node)
        data: dict[str, Any] = {}
        for key, value in node.value:  # merged keys come first: the mapping's own override them
            below = (*path, key.value)
            self.lines[below] = key.start_mark.line + 1
            data[key.value] = self.build(value, below)
        return data


def _redact(problem: str) -> str:
    """Cut what PyYAML quotes, but for signs and <tokens>: it may be a password that begins with `!` or `*`."""
    return _QUOTED.sub(lambda quoted: quoted["harmless"] or "...", problem)
