"""Three layers, joined: a YAML file, the environment over it, the command line over both.

Each layer knows where its values stand, so that an error names the line, the variable or the command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from streammon.core.errors import UsageError
from streammon.settings import kafka
from streammon.settings.document import parse
from streammon.settings.model import DELIMITER, PREFIX, Settings
from streammon.settings.problems import Place, describe, line, unknown

NOTHING: Mapping[str, Any] = MappingProxyType({})
WITH_SECRETS = ("kafka", "telemetry")  # sections where `NAME_file: path` reads NAME from the file
MAX_SECRET_BYTES = 65_536
NOT_UTF8 = "\ufffd"

# Variables with our prefix that are not settings: Kubernetes makes some for every service whose name begins with
# `streammon`, and the tests of this repository have theirs.
_FOREIGN = re.compile(
    r"(.*_)?service_(host|port)(_.*)?|(.*_)?port(_\d+_(tcp|udp|sctp)(_.*)?)?|test_.*|require_(broker|browser)|chromium"
)


@dataclass(frozen=True)
class Layer:
    """Values as they came, and where each stands."""

    data: dict[str, Any]
    where: Callable[[Place], str]
    base: Path  # relative paths start here


def load(path: Path | None = None, overrides: Mapping[str, Any] = NOTHING, policy: Path | None = None) -> Settings:
    """Settings from the file, the environment and `overrides` (the command line).

    `overrides` are nested like the file; None means not given. The rules of another file of settings, `policy`, take
    the place of all others. Raises UsageError with one line per problem.
    """
    layers = [] if path is None else [_file(path)]
    layers += [_environment(), _command_line(overrides)]
    layers += [] if policy is None else [_rules(policy)]
    for layer in layers:
        _anchor(layer)
        _read_secrets(layer)
    data, where = _join(layers)
    for key in data:
        # BaseSettings takes keyword arguments of this form for itself, so it cannot refuse them as keys.
        if key.startswith("_"):
            raise UsageError(line((key,), unknown(key, Settings.model_fields), where))
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        report = describe(error, Settings, where)
    raise UsageError(report)  # outside the handler: pydantic's error, which holds values, is not chained to it


def _file(path: Path) -> Layer:
    try:
        text = _text(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): name another file of settings") from None
    if NOT_UTF8 in text:
        number = text.count("\n", 0, text.index(NOT_UTF8)) + 1
        raise UsageError(f"{path}:{number}: is not UTF-8: save it as UTF-8")
    document = parse(text, str(path))
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise UsageError(f"{path}:1: should be a mapping, one `key: value` per line")
    return Layer(data, lambda place: f"{path}:{document.line(place)}", path.parent)


def _rules(path: Path) -> Layer:
    """What makes the policy in a file of settings, which may hold nothing else."""
    layer = _file(path)
    if "rules" not in layer.data:
        raise UsageError(f"{path}:1: has no `rules:`: write a policy as settings have it")
    limits = layer.data.get("limits")
    alert = {"series_alert": limits["series_alert"]} if isinstance(limits, dict) and "series_alert" in limits else {}
    return replace(layer, data={"rules": layer.data["rules"], **({"limits": alert} if alert else {})})


def _text(data: bytes) -> str:
    """Text with NOT_UTF8 for every byte that is none. Decoding errors are not raised: they hold all of the bytes."""
    return data.decode("utf-8-sig", errors="replace")


class _Environment(EnvSettingsSource):
    """STREAMMON_* variables. Lists and mappings are YAML, so JSON works and so does STREAMMON_WINDOWS=1m."""

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:
        names = (name for name, text in self.env_vars.items() if text == value and name.startswith(self.prefix))
        return parse(value, f"environment variable {next(names, field_name).upper()}").data

    @property
    def prefix(self) -> str:
        return self.env_prefix.lower()

    def variable(self, place: Place) -> str:
        """The variable that set a key: its own, or that of a mapping around it."""
        for length in range(len(place), 0, -1):
            name = self.prefix + DELIMITER.join(str(part) for part in place[:length]).lower()
            for known in self.env_vars:
                if known.replace(".", "_") == name.replace(".", "_"):
                    return known.upper()
        return PREFIX + "*"

    def foreign(self) -> list[str]:
        """First parts of the names of variables that are no settings."""
        heads = {name.removeprefix(self.prefix).split(DELIMITER)[0] for name in self.env_vars if self._ours(name)}
        return sorted(heads - Settings.model_fields.keys())

    def _ours(self, name: str) -> bool:
        return name.startswith(self.prefix) and _FOREIGN.fullmatch(name.removeprefix(self.prefix)) is None


def _environment() -> Layer:
    source = _Environment(Settings)

    def where(place: Place) -> str:
        return f"environment variable {source.variable(place)}"

    unknowns = [line((key,), unknown(key, Settings.model_fields), where) for key in source.foreign()]
    if unknowns:
        raise UsageError("\n".join(unknowns))
    data = source()
    if isinstance(data.get("kafka"), dict):
        data["kafka"] = {kafka.from_variable(name): value for name, value in data["kafka"].items()}
    return Layer(data, where, Path.cwd())


def _command_line(overrides: Mapping[str, Any]) -> Layer:
    return Layer(_without_none(overrides), lambda _: "command line", Path.cwd())


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else deepcopy(value)
        for key, value in data.items()
        if value is not None
    }


def _anchor(layer: Layer) -> None:
    """Make relative paths absolute, while it is known what they are relative to."""

    def anchored(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [anchored(item) for item in value]
        if isinstance(value, dict):
            return {name: anchored(item) for name, item in value.items()}
        if not isinstance(value, str | Path) or not str(value):
            return value
        return str(layer.base.absolute() / os.path.expanduser(value))  # unlike pathlib's, leaves an unknown ~user alone

    data = layer.data
    if "baselines" in data:
        data["baselines"] = anchored(data["baselines"])
    if isinstance(data.get("input"), dict) and "schemas" in data["input"]:
        data["input"]["schemas"] = anchored(data["input"]["schemas"])
    for section in WITH_SECRETS:
        options = data.get(section)
        if isinstance(options, dict):
            for name, value in options.items():
                if (name in kafka.PATHS and value not in kafka.NO_PATHS) or name.endswith(kafka.FILE_SUFFIX):
                    options[name] = anchored(value)


def _read_secrets(layer: Layer) -> None:
    """Replace `NAME_file: path` by NAME: here, so that a higher layer may give either form."""
    for section in WITH_SECRETS:
        options = layer.data.get(section)
        if isinstance(options, dict):
            _read_secrets_of(options, section, layer)


def _read_secrets_of(options: dict[str, Any], section: str, layer: Layer) -> None:
    for name in [name for name in options if name.endswith(kafka.FILE_SUFFIX)]:
        option = name.removesuffix(kafka.FILE_SUFFIX)
        place = (section, name)
        if option in options:
            raise UsageError(line(place, f"{option} is given too: keep one", layer.where))
        options[option] = _secret(options.pop(name), partial(line, place, where=layer.where))


def _secret(path: Any, problem: Callable[[str], str]) -> SecretStr:
    if not isinstance(path, str) or "\0" in path:
        raise UsageError(problem("should be the path of a file that holds the secret"))
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise UsageError(problem(f"{path} cannot be read ({error.strerror})")) from None
    secret = _text(data).rstrip("\r\n")
    if NOT_UTF8 in secret:
        raise UsageError(problem(f"{path} is not text (UTF-8)"))
    if not secret or len(data) > MAX_SECRET_BYTES:
        raise UsageError(problem(f"{path} should hold the secret, 1 to {MAX_SECRET_BYTES} bytes"))
    return SecretStr(secret)


def _join(layers: list[Layer]) -> tuple[dict[str, Any], Callable[[Place], str]]:
    """Later layers over earlier ones, mappings key by key, everything else (lists too) as a whole."""
    joined: dict[str, Any] = {}
    owner: dict[Place, Layer] = {(): layers[0]}

    def put(target: dict[str, Any], source: dict[str, Any], place: Place, layer: Layer) -> None:
        for key, value in source.items():
            below = (*place, key)
            if not isinstance(value, dict):
                target[key] = value
                owner[below] = layer
                continue
            if not isinstance(target.get(key), dict):
                target[key] = {}
                owner[below] = layer
            put(target[key], value, below, layer)

    def where(place: Place) -> str:
        nearest = next(place[:length] for length in range(len(place), -1, -1) if place[:length] in owner)
        return owner[nearest].where(place)

    for layer in layers:
        put(joined, layer.data, (), layer)
    return joined, where
