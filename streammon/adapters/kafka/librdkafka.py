"""The C library below the Python client: the few functions that the client does not offer, on the client's own handle.

The handle is the first field of the client's objects, which no interface promises. So it is checked before it is used,
and where anything is not as expected there is no handle, and the caller does without.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, Producer

_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_MAPS = Path("/proc/self/maps")

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {  # result and arguments
    "rd_kafka_version": (_INT, ()),
    "rd_kafka_opaque": (_POINTER, (_POINTER,)),
    "rd_kafka_queue_new": (_POINTER, (_POINTER,)),
    "rd_kafka_queue_get_partition": (_POINTER, (_POINTER, ctypes.c_char_p, ctypes.c_int32)),
    "rd_kafka_queue_forward": (None, (_POINTER, _POINTER)),
    "rd_kafka_queue_destroy": (None, (_POINTER,)),
    "rd_kafka_consume_batch_queue": (ctypes.c_ssize_t, (_POINTER, _INT, _POINTER, _SIZE)),
    "rd_kafka_message_destroy": (None, (_POINTER,)),
    "rd_kafka_message_timestamp": (ctypes.c_int64, (_POINTER, _POINTER)),
    "rd_kafka_message_errstr": (ctypes.c_char_p, (_POINTER,)),
    "rd_kafka_message_headers": (_INT, (_POINTER, _POINTER)),
    "rd_kafka_header_get_all": (_INT, (_POINTER, _SIZE, _POINTER, _POINTER, _POINTER)),
}


def load() -> ctypes.CDLL | None:
    """The library that the client has loaded, the same one and not another of its kind; None if it cannot be told."""
    try:
        lines = _MAPS.read_text().splitlines()
        library = ctypes.CDLL(next(line.split(maxsplit=5)[5] for line in lines if "librdkafka" in line))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, StopIteration, AttributeError):  # not Linux; built in statically; older than these functions
        return None
    return library if library.rd_kafka_version() == confluent_kafka.libversion()[1] else None


def handle(library: ctypes.CDLL, client: Consumer | Producer) -> int | None:
    """The address of the library's client, whose opaque value is the Python object; None if it is not there."""
    if type(client) not in (Consumer, Producer):
        return None
    if client.__sizeof__() < object.__basicsize__ + ctypes.sizeof(_POINTER):
        return None
    address = _POINTER.from_address(id(client) + object.__basicsize__).value
    if address is None or not _is_writable(address) or library.rd_kafka_opaque(address) != id(client):
        return None
    return address


def address_of(function: Any) -> int:
    """Of a function of the library, for compiled code to call."""
    return ctypes.cast(function, _POINTER).value or 0


def _is_writable(address: int) -> bool:
    """Whether memory lies there, so that looking at it does not end the process."""
    for line in _MAPS.read_text().splitlines():
        bounds, access, *_ = line.split()
        low, high = (int(bound, 16) for bound in bounds.split("-"))
        if low <= address < high:
            return access.startswith("rw")
    return False
