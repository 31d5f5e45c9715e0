"""Strict reading of Avro's primitives in plain Python, with words for what is wrong: see walk.py."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from streammon.core.errors import Code
from streammon.text import MARK, counted, shown

MAX_CHOICES = 8  # that a fault lists


class Fault(NamedTuple):
    """Why the datum ends here."""

    code: Code
    path: str | None  # None: behind the last field
    start: int  # first byte of the value that could not be read
    position: int  # the byte at fault
    expected: str
    found: str


class FaultFound(Exception):
    """Reading cannot go on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class Reading:
    """Where reading is. `path` and `start` are those of the value that is being read."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.path: str | None = None
        self.start = position

    def fail(self, code: Code, expected: str, found: str, position: int | None = None) -> NoReturn:
        raise FaultFound(
            Fault(code, self.path, self.start, self.start if position is None else position, expected, found)
        )

    def take(self, size: int, what: str) -> bytes:
        left = len(self.data) - self.position
        if size > left:
            self.fail(Code.TRUNCATED, f"{counted(size, 'byte')} of {what}", before_the_end(left))
        self.position += size
        return self.data[self.position - size : self.position]

    def long(self, what: str) -> int:
        bits = 0
        for group in range(10):
            byte = self.take(1, what)[0]
            if group == 9 and byte > 1:
                self.fail(Code.RANGE, f"{what}: a number of 64 bits", "a longer one")
            bits |= (byte & 0x7F) << (7 * group)
            if byte < 0x80:
                break
        return (bits >> 1) ^ -(bits & 1)

    def int_(self, what: str) -> int:
        number = self.long(what)
        if not -(2**31) <= number < 2**31:
            self.fail(Code.RANGE, f"{what}: -2,147,483,648 to 2,147,483,647", f"{number:,}")
        return number

    def index(self, names: tuple[str, ...], what: str) -> int:
        number = self.int_(what)
        if not 0 <= number < len(names):
            choices = ", ".join(f"{i} ({shown(name, 40)})" for i, name in enumerate(names[:MAX_CHOICES]))
            more = f", {MARK} {len(names) - 1:,}" if len(names) > MAX_CHOICES else ""
            self.fail(Code.RANGE, f"{what}: one of {choices}{more}", f"{number:,}")
        return number

    def blob(self, what: str) -> bytes:
        length = self.long(f"the length of {what}")
        if length < 0:
            self.fail(Code.RANGE, f"the length of {what}: 0 or more", f"{length:,}")
        return self.take(length, what)

    def string(self, what: str) -> str:
        data = self.blob(what)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            at = self.position - len(data) + error.start
            self.fail(Code.ENCODING, f"{what} in UTF-8", f"byte 0x{self.data[at]:02x}: {error.reason}", at)


def before_the_end(left: int) -> str:
    return f"{counted(left, 'byte')}, then the end of the record" if left else "the end of the record"
