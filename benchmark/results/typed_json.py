"""Dataclasses from JSON, with the type of every value checked."""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def dataclass_from_json(kind: type[T], values: object, place: str = "") -> T:
    """Create an instance of the dataclass `kind` from a JSON object. Unknown names are ignored.

    Raises `ValueError` for a missing field or a value of another type. The message names the field, below `place`.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{place or 'it'} is not an object")
    types, found = get_type_hints(kind), {}
    for option in fields(cast("Any", kind)):
        name = f"{place}.{option.name}" if place else option.name
        if option.name in values:
            found[option.name] = _value(types[option.name], values[option.name], name)
        elif option.default is MISSING and option.default_factory is MISSING:
            raise ValueError(f"{name} is missing")
    return kind(**found)


def _value(kind: Any, value: object, place: str) -> object:
    """A value of this type: a dataclass, a tuple or dictionary of one type, a plain type, or one of them or None.

    An instance of a dataclass is taken as it is.
    """
    if isinstance(kind, UnionType):
        if value is None:
            return None
        (kind,) = (other for other in get_args(kind) if other is not NoneType)
    if is_dataclass(kind):
        return value if isinstance(value, cast("type", kind)) else dataclass_from_json(cast("type", kind), value, place)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_value(get_args(kind)[0], item, f"{place}[{number}]") for number, item in enumerate(value))
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _value(get_args(kind)[1], item, f"{place}.{key}") for key, item in value.items()}
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise ValueError(f"{place} is {value!r}, which is not of the type {getattr(kind, '__name__', kind)}")
