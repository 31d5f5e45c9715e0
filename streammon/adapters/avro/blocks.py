"""Running programs: the floor between compiled code and those who want rows. It knows no framing and no events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro import ops
from streammon.adapters.avro.columns import ColumnSet, Defaults
from streammon.adapters.avro.emit import Pools
from streammon.adapters.avro.kernel import decode
from streammon.adapters.avro.ops import Columns
from streammon.adapters.avro.program import compile_program, refusal
from streammon.adapters.avro.schema import AvroSchema
from streammon.adapters.avro.wants import FieldMapping, wanted
from streammon.core.errors import Code, UsageError


class ColumnDecoder:
    """Decodes datums of any of some schemas into one set of columns."""

    def __init__(
        self,
        schemas: Sequence[AvroSchema],
        columns: ColumnSet,
        mapping: FieldMapping | None = None,
        defaults: Defaults | None = None,
    ) -> None:
        """All programs are made here: the first row of a schema costs no more than the next.

        A column that the mapping does not name is the field of the same name. A field that it names must be in one of
        the schemas. `defaults` are for those columns whose field the writer's schema lacks, as readers' defaults are.
        """
        found = wanted(columns, mapping)
        for name, value in (defaults or {}).items():
            if problem := columns.constant_problem(name, value):
                raise UsageError(f"default of {name}: {problem}")
        pools = Pools()
        self.columns = columns
        self.programs = [compile_program(schema, columns, found, defaults or {}, pools) for schema in schemas]
        for want in self.programs[0].lacking:
            if all(want in program.lacking for program in self.programs):
                furthest = max(self.programs, key=lambda program: len(program.lacking[want].path))
                others = len(self.programs) - 1
                text = f" ({others} other schema{'s' * (others > 1)} without it too)" if others else ""
                raise UsageError(refusal(want, furthest.lacking[want], furthest.name) + text)
        self._words = np.concatenate([program.words for program in self.programs])
        self._entry = np.cumsum([0] + [len(program.words) for program in self.programs[:-1]], dtype=np.int64)
        self._constants = np.array(pools.constants, np.uint8)
        self._literals = frozen(np.array(pools.literals or bytearray(1), np.uint8))
        self._joined = found.numbers.parts, found.strings.parts

    def decode_rows(
        self,
        buffer: NDArray[np.uint8],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        schema: NDArray[np.int64],
        code: NDArray[np.uint8],
    ) -> tuple[NDArray[np.uint8], Columns]:
        """Decode buffer[start[i]:end[i]], of schema number schema[i], into row i where code[i] is OK; sets other codes.

        Returns the buffer that strings point into, and the columns. Rows that are not OK are null.
        """
        size = int(np.sum(end - start, where=code == Code.OK))
        columns = self._allocate(len(code), size)
        strings = self._with_constants(buffer)
        self._decode(strings, len(buffer), schema, start, end, False, code, columns)
        return strings, columns

    def bounds(self, buffer: NDArray[np.uint8], start: int, end: int, count: int) -> NDArray[np.int64]:
        """[count + 1] where each of `count` datums that lie end to end in buffer[start:end] begins, and the last ends.

        Fewer where one cannot be read: then the last is its start. One call of compiled code each.
        """
        found = [start]
        code, schema, columns = np.zeros(1, np.uint8), np.zeros(1, np.int64), self._allocate(1, 0)
        stop = np.array([end])
        for _ in range(count):
            position = self._decode(buffer, len(buffer), schema, np.array(found[-1:]), stop, True, code, columns)
            if code[0]:
                break
            found.append(position)
        return np.array(found, np.int64)

    def _decode(
        self,
        buffer: NDArray[np.uint8],
        constants: int,
        schema: NDArray[np.int64],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        chained: bool,
        code: NDArray[np.uint8],
        columns: Columns,
    ) -> int:
        """See kernel.decode."""
        rows = frozen(schema), frozen(buffer), constants, self._literals, frozen(start), frozen(end)
        return int(decode(self._words, self._entry, *rows, chained, code, columns))

    def failed_path(self, columns: Columns) -> str | None:
        """Path of the field in which the latest bad row went wrong; None where no row did, or behind the last field."""
        word = int(columns.state[ops.FAILED_OP])
        if word < 0:
            return None
        program = int(np.searchsorted(self._entry, word, side="right")) - 1
        return self.programs[program].path(word - int(self._entry[program]))

    def _allocate(self, rows: int, size: int) -> Columns:
        """Columns with room for whatever `size` bytes can hold, as each value takes some."""
        values = max(program.numbers.values(rows, size) for program in self.programs)
        items = max(program.strings.values(rows, size) for program in self.programs)
        return self.columns.allocate(rows, values, items, self._joined)

    def _with_constants(self, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The buffer, followed by symbols of enums and defaults, which are strings to be pointed at as others."""
        return np.concatenate([buffer, self._constants]) if len(self._constants) else buffer


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view in one piece, for arrays that compiled code only reads.

    Whether an array may be written is part of its type to numba, which would compile once more for bytes objects.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
