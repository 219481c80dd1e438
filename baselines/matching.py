"""Match the rows of a predictions file with the test rows, by everything in the file that identifies them.

Ids, prompts and gold labels beside the answers say which test rows they belong to. Rows in another order are sorted
where that is certain. What contradicts the test rows is refused with file and row.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.files import ANSWER_KEYS, GOLD_KEYS, TEXT_KEYS, FileRow
from benchmark.interface import Examples, normalized_label

ID_KEYS = ("id", "index", "idx", "row", "row_id", "example_id", "sample_id", "unnamed: 0", "__index_level_0__", "")
"""Columns of the number or id of a test row. pandas names row numbers by one of the last three."""
SPLIT_ID = re.compile(r"(train|validation|test)-\d+")
"""An id as records have it."""
ORDER_ALONE = "order alone"
"""What a row is matched by if it says nothing about its test row."""


@dataclass(frozen=True)
class Matched:
    """The rows of the file in the order of the test rows, and how many were matched by what."""

    rows: list[FileRow]
    by: dict[str, int]


def match_rows(rows: list[FileRow], test: Examples, names: Sequence[Sequence[str]], path: str) -> Matched:
    """Sort and check the rows, whose columns have the form of `normalized_label`.

    `names` are the ways to write labels, each in the order of the label ids.
    """
    if len(rows) != len(test):
        raise BenchmarkError(f"{path} has {len(rows)} predictions for {len(test)} test rows.", "Give one per test row.")
    text_columns, label_ids = _text_columns(rows, test), _label_ids(names)
    places = _places_by_id(rows, test)
    if None in places:
        places = _places_by_prompt(rows, test, text_columns)
    if None not in places:
        rows = [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0] or 0)]
    places, golds = _places_by_id(rows, test), _gold_keys(rows, test, label_ids)
    matched_by = {"id": 0, "prompt": 0, "label": 0, ORDER_ALONE: 0}  # the strongest first
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        agreements = {
            "id": _check_id(row, place, number, test),
            "prompt": _check_prompt(row, test, number, text_columns),
            "label": sum(_check_gold(row, test, number, key, label_ids) for key in golds) > 0,
        }
        strongest = next((name for name, agrees in agreements.items() if agrees), ORDER_ALONE)
        matched_by[strongest] += 1
        if strongest == ORDER_ALONE and test.ids[-1] != f"test-{len(test) - 1}":
            raise BenchmarkError(
                f"{row.location}: nothing says which test row this is, and only a part of the test split is used.",
                f"Give every row the id of its test row, such as {test.ids[0]}.",
            )
    return Matched(rows, {name: count for name, count in matched_by.items() if count})


def _places_by_id(rows: list[FileRow], test: Examples) -> list[int | None]:
    """The test row that each row's id names, or None.

    Ids have a known column, or are such as test-0 in every row of another. Raises for an id that occurs twice, for one
    of no test row, and for numbers of rows in another order that may be ids.
    """
    known = {name: place for place, name in enumerate(test.ids)}
    for key in (*ID_KEYS, *(key for key in columns_of(rows) if key not in ID_KEYS)):
        ids = [_plain_value(row.values.get(key)) for row in rows]
        stated = [value for value in ids if value is not None]
        of_a_split = [value for value in stated if SPLIT_ID.fullmatch(value)]
        if key in ID_KEYS:
            _refuse_repeated(ids, rows, key)
        if len(of_a_split) == len(rows) or (of_a_split and key in ID_KEYS):
            unknown = set(of_a_split) - known.keys()
            for identifier, row in zip(ids, rows, strict=True):
                if identifier in unknown:
                    raise BenchmarkError(
                        f"{row.location}: the id {identifier!r} is not that of a test row.",
                        f"The ids are {test.ids[0]} to {test.ids[-1]}.",
                    )
            return [None if value is None else known.get(value) for value in ids]
        if (places := _places_by_number(stated, rows, key, test)) is not None:
            return places
    return [None] * len(rows)


def _places_by_number(ids: list[str], rows: list[FileRow], key: str, test: Examples) -> list[int | None] | None:
    """The test rows that the numbers in a column of ids name; None if they name none."""
    numbered = [re.fullmatch(r"(\D*)(\d{1,9})", value) for value in ids]
    same_start = len({match[1] for match in numbered if match}) == 1  # such as row_7
    numbers = [int(match[2]) for match in numbered if match and same_start]
    smallest = min(numbers, default=0)
    of_test = [int(name.rpartition("-")[2]) for name in test.ids]
    for start in (of_test, [number + 1 for number in of_test]) if key in ID_KEYS else ():
        if sorted(numbers) == start:
            place_of = {number: place for place, number in enumerate(start)}
            return [place_of[number] for number in numbers]
    consecutive = sorted(numbers) == list(range(smallest, smallest + len(rows)))
    if consecutive and numbers != sorted(numbers) and len(rows) > (1 if key in ID_KEYS else 2):
        raise BenchmarkError(
            f"{rows[0].location}: '{key}' is {numbers[0]}, but the numbers in this column begin with {smallest}.",
            "Give each row the id of its test row, such as test-0, as 'id'; leave the column out if it is no id.",
        )
    return None


def _refuse_repeated(ids: list[str | None], rows: list[FileRow], key: str) -> None:
    first_seen: dict[str, str] = {}
    for value, row in zip(ids, rows, strict=True):
        if value is not None and (earlier := first_seen.setdefault(value, row.location)) != row.location:
            raise BenchmarkError(
                f"{row.location}: the {key or 'id'} {value!r} is also that of {earlier}.",
                "Give one answer per test row.",
            )


def _check_id(row: FileRow, place: int | None, number: int, test: Examples) -> bool:
    """Whether an id says that this is the right row; raises if it says another."""
    if place is not None and place != number:
        raise BenchmarkError(
            f"{row.location}: its id is that of {test.ids[place]}, but its place that of {test.ids[number]}.",
            "Give every row the id of its test row, or none.",
        )
    return place is not None


def _places_by_prompt(rows: list[FileRow], test: Examples, keys: Sequence[str]) -> list[int | None]:
    """The test row of each prompt; all None if the prompts are already in order or are not the test texts.

    Equal texts are told apart by their order, which is certain only if they have equal answers.
    """
    prompts, texts = [_prompt(row, keys) or "" for row in rows], [_plain(text) for text in test.texts]
    stated = _without_template(prompts, texts) if all(prompts) else prompts
    if stated == texts or Counter(stated) != Counter(texts):
        return [None] * len(rows)
    waiting: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        waiting[text].append(place)
    answers: dict[str, set[str]] = defaultdict(set)
    for text, row in zip(stated, rows, strict=True):
        answers[text].add(repr({key: value for key, value in row.values.items() if key not in ID_KEYS}))
        if len(answers[text]) > 1:
            raise BenchmarkError(
                f"{row.location}: the rows are in another order than the test rows, and this text occurs twice with "
                "different answers.",
                "Sort the rows in the order of the test split, or give each the id of its test row.",
            )
    return [waiting[text].pop(0) for text in stated]


def _without_template(prompts: list[str], texts: list[str]) -> list[str]:
    """The prompts without the beginning and end that they share, except what the texts share as well."""
    start = max(0, _shared_start(prompts) - _shared_start(texts))
    end = max(0, _shared_start([prompt[::-1] for prompt in prompts]) - _shared_start([text[::-1] for text in texts]))
    return [prompt[start : len(prompt) - end] for prompt in prompts]


def _shared_start(texts: list[str]) -> int:
    """The number of characters with which all texts begin: those that the first and last in sorted order share."""
    first, last = min(texts), max(texts)
    differing = (place for place, (character, other) in enumerate(zip(first, last, strict=False)) if character != other)
    return next(differing, min(len(first), len(last)))


def _check_prompt(row: FileRow, test: Examples, number: int, keys: Sequence[str]) -> bool:
    """Whether a prompt contains the text of the test row; raises if it does not."""
    prompt = _prompt(row, keys)
    if prompt is not None and _plain(test.texts[number]) not in prompt:
        raise BenchmarkError(
            f"{row.location}: the prompt does not contain the text of {test.ids[number]}.",
            "Give the answers of this test split, one per row and in its order. Leave out a prompt that was cut.",
        )
    return prompt is not None


def _gold_keys(rows: list[FileRow], test: Examples, label_ids: dict[str, int]) -> list[str]:
    """The columns of gold labels: those with a known name, and others that hold a label in every row.

    The names of predictions contain "pred", and a column with one value is a counter or a constant. Ids count where
    they are the gold labels, perhaps in another order.
    """
    others = [key for key in columns_of(rows) if key not in (*GOLD_KEYS, *ID_KEYS) and "pred" not in key]
    values = {key: [_plain_value(row.values.get(key)) for row in rows] for key in others}
    by_name = [key for key in others if len(set(values[key])) > 1 and set(values[key]) <= label_ids.keys()]
    golds = Counter(map(str, test.labels.tolist()))
    by_id = [key for key in others if Counter(values[key]) == golds]
    return [*GOLD_KEYS, *by_name, *by_id]


def _check_gold(row: FileRow, test: Examples, number: int, key: str, label_ids: dict[str, int]) -> bool:
    """Whether a gold label, a name or an id, is that of the test row; raises if it is another."""
    gold, value = int(test.labels[number]), _plain_value(row.values.get(key))
    if value is None:
        return False
    is_id = value not in label_ids and re.fullmatch(r"\d{1,9}", value) is not None
    if label_ids.get(value) != gold and not (is_id and int(value) == gold):
        name = list(label_ids)[list(label_ids.values()).index(gold)]
        raise BenchmarkError(
            f"{row.location}: '{key}' is {value!r}, but the gold label of {test.ids[number]} is {name!r}.",
            f"Give the answers of this test split, one per row and in its order, under '{ANSWER_KEYS[0]}'; leave out "
            f"'{key}' if it is not the gold label.",
        )
    return True


def _label_ids(names: Sequence[Sequence[str]]) -> dict[str, int]:
    """Label ids by every way to write a label."""
    return {normalized_label(name): number for spelling in names for number, name in enumerate(spelling)}


def _text_columns(rows: list[FileRow], test: Examples) -> tuple[str, ...]:
    """The columns of the text: those with a known name, and others that hold the test texts in any order."""
    texts = Counter(map(_plain, test.texts))
    others = [key for key in columns_of(rows) if key not in TEXT_KEYS]
    return *TEXT_KEYS, *(key for key in others if Counter(_plain(str(row.values.get(key))) for row in rows) == texts)


def columns_of(rows: Iterable[FileRow]) -> list[str]:
    """The columns that any of the rows has."""
    return list(dict.fromkeys(key for row in rows for key in row.values))


def _prompt(row: FileRow, keys: Sequence[str]) -> str | None:
    """What was asked: the instruction and the text, or both in one."""
    asked = [value for key in keys if isinstance(value := row.values.get(key), str) and value.strip()]
    instruction = row.values.get("instruction")
    return _plain("\n".join([instruction, *asked] if isinstance(instruction, str) else asked)) if asked else None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _plain_value(value: Any) -> str | None:
    """An id or label as text, a whole number without decimals, or None if the row does not state one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and re.fullmatch(r"\d+\.0+", value.strip()):  # as pandas writes numbers beside gaps
        value = value.partition(".")[0]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return normalized_label(str(value)) or None
