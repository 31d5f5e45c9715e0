"""What every mapping of the settings has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


def given(model: type[BaseModel], data: Any) -> Any:
    """A key without a value (`delivery:` with every line below it commented out) means the default."""
    if not isinstance(data, Mapping):
        return data
    return {key: value for key, value in data.items() if value is not None or key not in model.model_fields}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, data: Any) -> Any:
        return given(cls, data)
