"""Text that other people wrote, made safe to look at: identifiers, messages and values from records, in terminals and
logs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MARK = "\u2026"  # in front of the length of what was cut; escaped in the text itself, so nobody can feign a cut

_INVISIBLE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb"
)
_CONTROL = re.compile(f"[{_INVISIBLE}]")
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;/@+=()\[\]{}#%*~!?|^$-]*")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\"}
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"  # fillers: letters to Unicode, nothing to the eye


def shown(text: str, limit: int = 200) -> str:
    r"""The text on one line, at most `limit` characters of it: letters, digits and harmless punctuation as they are.

    Everything else is escaped as in Python: control characters, quotes, backslash, the markup characters < > and & (but
    for a < or > between spaces, which compares), and whatever is invisible or turns the direction of writing. What does
    not fit is replaced by its length.

    >>> shown("fraud/v2"), shown("größe")
    ('fraud/v2', 'größe')
    >>> print(shown("<b>\x1b[31m\n"), shown("x" * 10_000, limit=5))
    \x3cb\x3e\x1b[31m\n xxxxx…(10,000 characters)
    """
    if len(text) <= limit and _PLAIN.fullmatch(text):
        return text
    parts: list[str] = []
    room = limit
    for at, character in enumerate(text):
        compares = character in "<>" and text[max(0, at - 1) : at + 2] == f" {character} "
        part = character if compares else _escaped(character)
        room -= len(part)
        if room < 0:
            return f"{''.join(parts)}{MARK}({len(text):,} characters)"
        parts.append(part)
    return "".join(parts)


def without_controls(text: str) -> str:
    r"""The text as it is, but for what acts on a terminal or is invisible: for our own sentences about others' words.

    Line ends too; within JSON texts the result means the same.

    >>> print(without_controls("no file 'a\x9b2J'"))
    no file 'a\u009b2J'
    """
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _escaped(character: str) -> str:
    if _PLAIN.fullmatch(character) or _is_readable(character):
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_readable(character: str) -> bool:
    """A letter or digit of a script that is written from left to right: others move what stands beside them."""
    return (
        character.isalnum() and unicodedata.bidirectional(character) in {"L", "EN"} and character not in _BLANK_LETTERS
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "model"), counted(2000, "event")
    ('1 model', '2,000 events')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def hexdump(data: bytes, at: int, before: int, after: int) -> Iterator[str]:
    """Lines of 16 bytes around byte `at`, which is pointed at; `at` may be the end of the data.

    >>> for line in hexdump(b"0123456789abcdefghij", at=17, before=16, after=16): print(line)
    00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef
    00000010  67 68 69 6a                                      ghij
                 ^^ byte 17
    """
    for start in range(max(0, at - before) // 16 * 16, min(len(data), at + after) + 1, 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        if row:
            yield f"{start:08x}  {row.hex(' '):47}  {text}"
        if start <= at < start + 16:
            end = " (the end)" if at >= len(data) else ""
            yield f"{'':10}{'   ' * (at - start)}^^ byte {at}{end}"
