"""`streammon init`: a first file of settings, with every key and what it means."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands.common import add_command, check_output
from streammon.core.errors import UsageError

if TYPE_CHECKING:
    from streammon.proposal import Proposal

FILE = Path("streammon.yaml")
EXAMPLE = "streammon.example.yaml"
EXAMPLES = ("models", "rules")  # sections of it that show what could be written, and are not the default
MAX_CANDIDATES = 8
NEEDED = ("ts", "model_id")


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "init",
        "write a file of settings to start from",
        "init streammon.yaml --schema prediction.avsc --topic predictions",
        "Every key with its default and its meaning. With --schema, a mapping of your fields is proposed.",
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=FILE, metavar="FILE", help=f"what to write (default {FILE})"
    )
    parser.add_argument("--schema", type=Path, metavar="AVSC", help="Avro schema of your events")
    parser.add_argument("--topic", metavar="T", help="that they are in")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    check_output(args.file)
    if args.file.exists() and not args.force:
        raise UsageError(f"{args.file} exists: choose another name, or --force to overwrite it")
    text = example()
    if args.topic is not None:
        text = with_topic(text, args.topic)
    proposal = None
    if args.schema is not None:
        proposal = _proposal(args.schema)
        path = os.path.relpath(args.schema, args.file.absolute().parent)
        text = with_schema(text, path, proposal)
    args.file.write_text(text, encoding="utf-8")
    print(f"written to {args.file}")
    if proposal is not None:
        _report(proposal)
    print(f"next: streammon check --config {args.file}")


def example() -> str:
    """The settings that ship with streammon, with what is only an example commented out."""
    lines, inside = [], False
    for line in _shipped().read_text(encoding="utf-8").splitlines():
        if line and line[0] not in " #-":
            inside = line.partition(":")[0] in EXAMPLES
        lines.append(f"# {line}" if inside and line and not line.startswith("#") else line)
    return "\n".join(lines) + "\n"


def with_topic(text: str, topic: str) -> str:
    """The text with another input topic. Refuses what is no topic's name."""
    from streammon.settings import load

    load(None, {"topics": {"events": topic}})
    return re.sub(r"^  events: \S+", f"  events: {scalar(topic)}", text, count=1, flags=re.MULTILINE)


def with_schema(text: str, path: str, proposal: Proposal) -> str:
    """The text with the user's schema, and the proposed mapping where the examples of them were."""
    lines = [f"  schemas: [{scalar(path)}] # of the writers", *mapping_lines(proposal)]
    out: list[str] = []
    for line in text.splitlines():
        key = line.removeprefix("  # ").partition(":")[0]
        if line.startswith("  # ") and key in ("schemas", "mapping"):
            out += lines
            lines, skipping = [], True
        elif not line.startswith("  #   ") or not skipping:
            out.append(line)
            skipping = False
    named = proposal.mapping.get("features")
    if isinstance(named, tuple):  # without names they are not aggregated
        names = _value(tuple(path.rpartition(".")[2] for path in named))
        at = out.index("# models:")
        out[at:at] = ["models:", '  - match: "*"', f"    features: {names}"]
    return "\n".join(out) + "\n"


def mapping_lines(proposal: Proposal) -> list[str]:
    """The `mapping` section: what was found, then what was not, with what it could be."""
    same = f"  # fields of their own names: {', '.join(proposal.same)}"
    found = [f"    {name}: {_value(path)}" for name, path in proposal.mapping.items()]
    left = []
    for name, paths in proposal.open.items():
        more = ", ..." if len(paths) > MAX_CANDIDATES else ""
        what = f"could be {', '.join(paths[:MAX_CANDIDATES])}{more}" if paths else "no field has its type"
        null = f"    {name}: null # the field of this name has another type; " if name in proposal.null else ""
        left.append(f"{null or f'    # {name}: # '}{what}")
    head = "  mapping: # canonical field: path in the schema (docs/own-schema.md). Proposed by name: check each"
    return [same] * bool(proposal.same) + [head, *found, *left]


def _value(path: str | tuple[str, ...]) -> str:
    return scalar(path) if isinstance(path, str) else f"[{', '.join(map(scalar, path))}]"


def scalar(text: str) -> str:
    """The text as a YAML value within a list or behind a key."""
    import yaml

    return yaml.safe_dump([text], default_flow_style=True, width=10_000, allow_unicode=True).strip()[1:-1]


def _shipped() -> Path:
    package = Path(__file__).resolve().parents[1]
    for folder in (package, package.parent):  # the wheel, a checkout
        if (folder / EXAMPLE).is_file():
            return folder / EXAMPLE
    raise UsageError(f"there is no {EXAMPLE} in {package}: the installation is incomplete, install streammon again")


def _proposal(path: Path) -> Proposal:
    from streammon.adapters.avro.schema import load_schema
    from streammon.proposal import propose

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--schema {path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"--schema {path}: is not UTF-8") from None
    schema = load_schema(text, f"--schema {path}")
    if schema.type.kind != "record":
        raise UsageError(f"--schema {path}: is {schema.type}; events are records")
    return propose(schema)


def _report(proposal: Proposal) -> None:
    total = len(proposal.same) + len(proposal.mapping) + len(proposal.open)
    print(f"filled: {len(proposal.same)} fields of the same name, {len(proposal.mapping)} by likeness, of {total}")
    for name, path in proposal.mapping.items():
        print(f"  {name:16} {path if isinstance(path, str) else ', '.join(path)}")
    for name in NEEDED:
        if name in proposal.open:
            print(f"  {name:16} is needed, and no field was found: write it into input.mapping")
