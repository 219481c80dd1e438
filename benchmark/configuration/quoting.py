"""Refuses values that YAML took for something else than the text they must be, such as `no` for false.

A whole number that is an option's only value is accepted: it cannot be told whether YAML changed it. In a YAML file
an unquoted `010`, `0x1F`, `1_000` or `12:30` becomes the text `8`, `31`, `1000` or `750`. A revision with only digits
is therefore written in quotes.
"""

from typing import Any, get_args, get_origin, get_type_hints

from benchmark.errors import BenchmarkError

KINDS = {bool: "a truth value", float: "a number", int: "a number", type(None): "nothing"}
"""What YAML makes of an unquoted no, yes, on or off, of 1e3, of a whole number, and of null or ~."""


def check_texts(schema: type[Any], values: dict[str, Any], prefix: str) -> None:
    """Raise `BenchmarkError` for a value that must be a text and is not, with the quotes that make it one.

    A whole number is accepted as the value of an option, and refused in a list or a dictionary.
    """
    hints = get_type_hints(schema)
    for name, value in values.items():
        option, hint = f"{prefix}{name}", hints.get(name)
        types = [hint] if get_origin(hint) in (list, dict) else [hint, *get_args(hint)]  # X | None has the arguments X
        if str in types and not (value is None and type(None) in types):
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
    """The value as a text; a whole number in decimal digits.

    Raises `BenchmarkError` for nothing, a truth value or a float.
    """
    if value is None or isinstance(value, bool | float):
        _refuse(value, option, '"no"')
    return str(value)


def _refuse(value: Any, option: str, example: str) -> None:
    """Raise the error. What was written is not known, so the fix shows an example."""
    kind = KINDS.get(type(value), f"a {type(value).__name__}")
    raise BenchmarkError(
        f"{option} contains {value!r}: YAML takes what was written for {kind}, not for a text.",
        f"Put it in quotes as you wrote it, for example {option.rpartition('.')[2]}: {example} in a file or "
        f"'{option}={example}' on the command line.",
    )
