"""Jinja for Markdown, and how findings write figures, lists and ratios."""

import re
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmark.analysis import study
from benchmark.report.formats import duration, markdown_text, parameters
from benchmark.report.sections import TEMPLATES

Row = dict[str, Any]


@cache
def jinja_environment() -> Environment:
    """The Jinja environment for Markdown, with the formats of the tables as filters."""
    made = Environment(  # noqa: S701  # Markdown, not HTML
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (
        markdown_text,
        count_in_words,
        duration,
        four_decimals,
        faster_or_slower,
        in_words,
        listed,
        name_and_accuracy,
        study_model_with_accuracy,
        accuracy_with_name,
        usd,
        heading_anchor,
    )
    made.filters |= {filter_.__name__: filter_ for filter_ in filters}
    return made


def in_words(value: float) -> str:
    """A large number in words: 22.7 million, 1.78 billion."""
    return parameters(value, " million", " billion")


def count_in_words(number: int) -> str:
    """A small number as a word."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if number < len(words) else str(number)


def usd(dollars: float) -> str:
    """An amount of US dollars with two decimals, or with one digit below a cent: 0.13, 0.0006."""
    if dollars >= 0.01:
        return f"{dollars:.2f}"
    return f"{dollars:.1g}" if dollars >= 0.0001 else "less than 0.0001"


def four_decimals(value: float) -> str:
    return f"{value:.4f}"


def faster_or_slower(best: Row, other: Row, cost: str) -> str:
    """The ratio of a cost in seconds: `2.0 times faster` if the other needs half, `2.0 times slower` if twice."""
    ratio = best[cost] / other[cost]
    if ratio < 1:
        return f"{times(1 / ratio)} slower"
    return f"{times(ratio)} faster"


def times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:,.0f} times"


def listed(items: list[str], last: str = "and") -> str:
    """The items in one phrase: a, b and c."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def seed_count(row: Row) -> str:
    return "one seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"


def name_and_accuracy(row: Row) -> str:
    """A configuration with its accuracy."""
    return f"{markdown_text(row['short_name'])} ({four_decimals(row['accuracy'])})"


def study_model_with_accuracy(row: Row) -> str:
    """A configuration of one of the study's models, without its recipe."""
    return f"{study.TABLE3_TITLES[row['model']]} at {four_decimals(row['accuracy'])} ({seed_count(row)})"


def accuracy_with_name(point: Row) -> str:
    """The accuracy at a point of a learning curve, the model, its steps if it has any, and whether it is constant."""
    notes: list[str] = [f"{int(point['steps']):,} steps"] if pd.notna(point["steps"]) and point["steps"] else []
    notes += ["one label for all texts"] if pd.notna(point["remark"]) else []
    beside = f" ({', '.join(notes)})" if notes else ""
    return f"{four_decimals(point['accuracy'])} with {markdown_text(point['name'])}{beside}"


def heading_anchor(heading: str) -> str:
    """The id that GitHub and Python-Markdown give a heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
