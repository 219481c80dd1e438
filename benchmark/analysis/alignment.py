"""Bring the answers of several files into the same order of items, or refuse."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.analysis.exchange import Answers, GradedAnswer
from benchmark.errors import BenchmarkError
from benchmark.predictions import normalized_label

SAME_ITEMS = "Evaluate all models on the same items, without a limit."
WITH_IDS = "Write .csv files with the columns id, gold and predicted, and the same id for the same item."


@dataclass(frozen=True)
class Aligned:
    """The answers of each file, in the order of the first file, and what they were matched by."""

    by: str
    files: tuple[tuple[GradedAnswer, ...], ...]


def align(files: Sequence[Answers]) -> Aligned:
    """Match by ids of the same kind, else by unique texts, else by order with equal gold labels.

    Raises `BenchmarkError` for other test data, missing items, other gold labels, and the text of another item.
    """
    hashed = [file for file in files if file.test_sha256]
    for file in hashed[1:]:
        if file.test_sha256 != hashed[0].test_sha256:
            raise BenchmarkError(f"{hashed[0].path} and {file.path} answer different test texts.", SAME_ITEMS)
    first, *others = files
    by, key = _key(files)
    aligned = Aligned(by, (first.rows, *(_in_order_of(first, other, key) for other in others)))
    for rows in aligned.files[1:]:
        _check_items(first.rows, rows)
    return aligned


Key = Callable[[GradedAnswer], str | None]


def _key(files: Sequence[Answers]) -> tuple[str, Key | None]:
    """What identifies an item in all files, in words and as a function; None if only the order does."""
    ids = [{answer.id for answer in file.rows} for file in files]
    if len({file.id_kind for file in files}) == 1 and not any(None in of_file for of_file in ids):
        forms = {_form(file) for file in files}
        if len(forms) == 1 or all(ids[0] & of_file for of_file in ids):
            form = forms.pop() if len(forms) == 1 else None
            return files[0].id_kind + (f" ({form})" if form else ""), lambda answer: answer.id
    texts = [[_text(answer) for answer in file.rows] for file in files]
    distinct = [set(of_file) for of_file in texts]
    unique = all(
        len(different) == len(of_file) and None not in different
        for different, of_file in zip(distinct, texts, strict=True)
    )
    if unique and all(distinct[0] & different for different in distinct):
        return "text", _text
    return "order, with equal gold labels", None


def _form(file: Answers) -> str | None:
    """The form of the ids, such as `test-#`, if they differ in their numbers only, else None."""
    forms = {re.sub(r"\d+", "#", str(answer.id)) for answer in file.rows}
    return forms.pop() if len(forms) == 1 else None


def _text(answer: GradedAnswer) -> str | None:
    return answer.text.strip() if answer.text is not None else None


def _in_order_of(first: Answers, other: Answers, key: Key | None) -> tuple[GradedAnswer, ...]:
    if key is None:
        _check_order(first, other)
        return other.rows
    of_key = {key(answer): answer for answer in other.rows}
    known = {key(answer) for answer in first.rows}
    missing = [(answer, other) for answer in first.rows if key(answer) not in of_key]
    missing += [(answer, first) for answer in other.rows if key(answer) not in known]
    if missing:
        answer, absent = missing[0]
        raise BenchmarkError(
            f"{answer.location}: this item is not in {absent.path} ({len(missing):,} items are in one file only).",
            SAME_ITEMS,
        )
    return tuple(of_key[key(answer)] for answer in first.rows)


def _check_order(first: Answers, other: Answers) -> None:
    """Raise unless the rows can be matched one by one: as many, with gold labels."""
    if len(first.rows) != len(other.rows):
        raise BenchmarkError(
            f"{other.path} has {len(other.rows):,} rows and {first.path} has {len(first.rows):,}.", SAME_ITEMS
        )
    for file in (first, other):
        golds = {answer.gold for answer in file.rows}
        if None in golds or len(golds) == 1 < len(file.rows):
            what = "no gold labels" if None in golds else "one gold label in all rows"
            problem = f"{file.path} has {what} and shares no ids or unique texts with the other files."
            raise BenchmarkError(problem, WITH_IDS)


def _check_items(first: Sequence[GradedAnswer], rows: Sequence[GradedAnswer]) -> None:
    """Raise for another gold label than in the first file, and for the text of another item. Prompts may differ."""
    places = {_text(answer): answer.location for answer in first if answer.text is not None}
    for expected, answer in zip(first, rows, strict=True):
        golds = expected.gold, answer.gold
        if None not in golds and len({normalized_label(str(gold)) for gold in golds}) > 1:
            raise BenchmarkError(
                f"{answer.location}: the gold label is {answer.gold!r}, but {expected.gold!r} in {expected.location}.",
                "Use the same test data and names of labels, and the same order or ids.",
            )
        if _text(answer) != _text(expected) and (other := places.get(_text(answer))) is not None:
            raise BenchmarkError(
                f"{answer.location}: the text is not that of {expected.location}, but that of {other}.", WITH_IDS
            )
