"""Dataclasses from plain values, with errors that name the option at fault."""

from dataclasses import is_dataclass
from typing import Any, TypeVar, cast, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from benchmark.configuration.quoting import check_texts
from benchmark.errors import BenchmarkError

T = TypeVar("T")


def to_dataclass(schema: type[T], values: dict[str, Any], prefix: str) -> T:
    """An instance of the dataclass `schema`, nested ones included; `prefix` goes before option names in errors."""
    try:
        return cast("T", OmegaConf.to_object(OmegaConf.merge(_node(schema, values, prefix), values)))
    except OmegaConfBaseException as error:
        option = f"{prefix}{getattr(error, 'full_key', None) or ''}"
        if isinstance(error, ConfigKeyError) and is_dataclass(error.object_type):
            options = f"The options here are {', '.join(error.object_type.__dataclass_fields__)}."
            fix = f"Leave it out, or choose another model. {options}" if prefix == "model." else options
        elif "is not a ListConfig" in str(error):
            fix = "Write a list: [a, b], [a] for one value, [] for none."
        else:
            fix = "Correct it."
        raise BenchmarkError(f"Option {option}: {first_line(error)}.", fix) from error


def nested_schema(schema: type[Any], name: str) -> type[Any] | None:
    """The dataclass that the field holds, alone or as an optional value; None for fields of other types."""
    hint = get_type_hints(schema).get(name)
    types = (candidate for candidate in (hint, *get_args(hint)) if isinstance(candidate, type))
    return next((candidate for candidate in types if is_dataclass(candidate)), None)


def first_line(error: Exception) -> str:
    """The first line of the message, without a full stop at its end."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _node(schema: type[Any], values: dict[str, Any], prefix: str) -> DictConfig:
    """OmegaConf's node for `schema`, writable at every level although the dataclasses are frozen."""
    check_texts(schema, values, prefix)
    node = OmegaConf.structured(schema)
    OmegaConf.set_readonly(node, None)
    for name, value in values.items():
        nested = nested_schema(schema, name)
        if nested is not None and isinstance(value, dict):
            node[name] = _node(nested, value, f"{prefix}{name}.")
    return cast("DictConfig", node)
