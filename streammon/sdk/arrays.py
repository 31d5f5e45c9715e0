"""Numbers of a service, in whatever it computes with, to bytes of their own. numpy and torch are used where the service
has loaded them, and never imported here."""

from __future__ import annotations

import sys
from array import array
from math import nan
from typing import Any

_NATIVE = sys.byteorder == "little"  # what Avro writes
_NUMERIC = "fiub"  # numpy's kinds: float, int, unsigned, bool


class TooLong(ValueError):
    """More numbers than an event may hold."""


def float32_bytes(value: Any, most: int) -> bytes:
    """One row of numbers as little-endian float32, copied; what float32 cannot hold is infinite.

    Takes lists, tuples, ranges and arrays (None in them is NaN), and arrays and tensors of any library that numpy or
    torch's own methods can read: any numeric type, stride and device; a tensor on another device is waited for. One
    axis may be longer than 1, else it is not one row. Raises TypeError or ValueError; TooLong beyond `most` numbers,
    before anything is converted.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(value) is numpy.ndarray:
        return _of_numpy(numpy, value, most)
    if isinstance(value, (list, tuple, array, range)):
        return _of_sequence(value, most)
    if hasattr(value, "detach"):
        return _of_tensor(value, most)
    if numpy is None or not hasattr(value, "__array__"):
        raise TypeError("no row of numbers")
    return _of_numpy(numpy, numpy.asanyarray(value), most)


def _of_sequence(value: Any, most: int) -> bytes:
    _check(len(value), most)
    try:
        row = array("f", value)
    except TypeError:  # perhaps for a None, which is rare
        row = array("f", [nan if item is None else item for item in value])
    if not _NATIVE:
        row.byteswap()
    return row.tobytes()


def _of_numpy(numpy: Any, value: Any, most: int) -> bytes:
    _check(value.size, most)
    if value.ndim > 1 and value.size != max(value.shape):
        raise ValueError("several rows")
    dtype = value.dtype
    if type(value) is numpy.ndarray and dtype.char == "f" and dtype.isnative and _NATIVE:
        return bytes(value.tobytes())
    if isinstance(value, numpy.ma.MaskedArray):
        value = value.astype("f8").filled(nan)
    elif dtype.kind == "O":
        return _of_sequence(value.ravel().tolist(), most)
    elif dtype.kind not in _NUMERIC:
        raise TypeError("no numbers")
    with numpy.errstate(all="ignore"):  # a service may have made warnings errors
        return bytes(value.astype("<f4").tobytes())


def _of_tensor(value: Any, most: int) -> bytes:
    _check(value.numel(), most)
    if value.is_complex():
        raise TypeError("complex numbers")
    if value.ndim > 1 and value.numel() != max(value.shape):
        raise ValueError("several rows")
    row = value.detach().float().cpu()  # numpy knows no bfloat16
    try:
        data: bytes = row.numpy().tobytes()
    except RuntimeError:  # torch without numpy
        return _of_sequence(row.flatten().tolist(), most)
    return data if _NATIVE else _of_sequence(row.flatten().tolist(), most)


def _check(count: int, most: int) -> None:
    if count > most:
        raise TooLong
