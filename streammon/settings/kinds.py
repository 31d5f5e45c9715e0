"""Kinds of values that the settings are made of: what each accepts, and what it says of anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr

from streammon.core.outputs import WindowSpec
from streammon.settings.durations import duration_text, parse_duration, parse_window, window_text
from streammon.settings.measurements import MEASUREMENTS
from streammon.settings.problems import Problems, unknown

MAX_DIMENSION = 100_000


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should hold no control characters: it is shown in terminals and logs")
    return text


def _pattern(text: str) -> str:
    if "[" in re.sub(r"\[!?+\]?+[^]]*\]", "", text):  # fnmatch would take it for the character
        raise ValueError("has a [ without its ]: write [[] for the character itself")
    return text


def _model_pattern(text: str) -> str:
    if text == "[*]":
        raise ValueError("[*] means a roll-up, and none goes over models: name a model, or write * for each of them")
    return text


def _topic(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) is None or name in (".", ".."):
        raise ValueError("should be a topic's name: letters, digits, dot, underscore, minus, at most 249")
    return name


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic would take true for 1
        raise ValueError("should be a number")
    return value


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("should be longer than 0s")
    return duration


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str | Mapping) else value


def _names(value: Any) -> Any:
    """A number n of features means f0, f1, ..., f{n-1}."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MAX_DIMENSION:
            raise ValueError(f"should be 1 to {MAX_DIMENSION}, or a list of names")
        return tuple(f"f{number}" for number in range(value))
    if not isinstance(value, list | tuple):
        raise ValueError("should be the number of features, or a list of their names")
    return value


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names. Problems where one comes twice."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Problems(((index,), "is named twice: keep one"))
    return names


def _measurement(name: str) -> str:
    if name not in MEASUREMENTS:
        raise ValueError(unknown(name, MEASUREMENTS, "measurement"))
    return name


def _port(value: Any) -> Any:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value) else value
    if number != "auto" and (not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 65_535):
        raise ValueError("should be a port, 1 to 65535, or auto, or 0 for any free one")
    return number


def _token(token: SecretStr) -> SecretStr:
    if re.fullmatch(r"[!-~]+", token.get_secret_value()) is None:  # it travels in a header
        raise ValueError("should be letters, digits and punctuation of ASCII, without spaces")
    return token


def is_loopback(address: str) -> bool:
    """Whether nobody but this machine can reach the address.

    >>> is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a name, which may mean anything
        return address == "localhost"


OneOrMany = BeforeValidator(_one_or_many)  # a lone value for a list of one
Text = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
Pattern = Annotated[Text, AfterValidator(_pattern)]  # of a shell
ModelPattern = Annotated[Pattern, AfterValidator(_model_pattern)]
Names = Annotated[tuple[Text, ...], AfterValidator(distinct)]
Features = Annotated[Names, BeforeValidator(_names)]
Topic = Annotated[str, AfterValidator(_topic)]
Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Dimension = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=MAX_DIMENSION)]
Whole = Annotated[int, BeforeValidator(_no_bool), Field(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=2**31 - 1)]
Natural = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=2**31 - 1)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(duration_text)]
Positive = Annotated[Duration, AfterValidator(_positive)]
Window = Annotated[WindowSpec, BeforeValidator(parse_window), PlainSerializer(window_text)]
Measurement = Annotated[str, AfterValidator(_measurement)]
Port = Annotated[int | Literal["auto"], BeforeValidator(_port)]
Token = Annotated[SecretStr, AfterValidator(_token)]
