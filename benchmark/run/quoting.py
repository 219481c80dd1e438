"""Refuses values that YAML took for something else than the text they must be: `no` for false, `010` for 8."""

from typing import Any, get_args, get_origin, get_type_hints

from benchmark.errors import BenchmarkError

KINDS = {bool: "a truth value", float: "a number", int: "a number", type(None): "nothing"}
"""What YAML makes of an unquoted no, yes, on or off, of 1e3, of 010, and of null or ~."""


def check_texts(schema: type[Any], values: dict[str, Any], prefix: str) -> None:
    """Raise `BenchmarkError` for a value that must be a text and is not, with the quotes that make it one.

    A whole number alone is taken as it is; one in a list may have been written as 010 or 1_000.
    """
    hints = get_type_hints(schema)
    for name, value in values.items():
        option, hint = f"{prefix}{name}", hints.get(name)
        types = [hint] if get_origin(hint) in (list, dict) else [hint, *get_args(hint)]  # X | None has the arguments X
        if str in types:
            as_text(option, value)
        elif list[str] in types and isinstance(value, list):
            for item in value:
                if not isinstance(item, str):
                    _refuse(item, option, '["no","yes"]')
        elif dict[str, str] in types and isinstance(value, dict):
            for item in (*value, *value.values()):
                if not isinstance(item, str):
                    _refuse(item, option, '{"no":"nein","yes":"ja"}')


def as_text(option: str, value: Any) -> str:
    """The value as a text; a whole number is taken as it is. Raises `BenchmarkError` for a truth value or a float."""
    if isinstance(value, bool | float):
        _refuse(value, option, f'"{value}"')
    return str(value)


def _refuse(value: Any, option: str, quoted: str) -> None:
    kind = KINDS.get(type(value), f"a {type(value).__name__}")
    raise BenchmarkError(
        f"{option} contains {value!r}: YAML takes what was written for {kind}, not for a text.",
        f"Put it in quotes, as in {option.rpartition('.')[2]}: {quoted} in a file or '{option}={quoted}' on the "
        "command line.",
    )
