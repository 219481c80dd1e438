from collections.abc import Sequence
from typing import Any

import pytest
from answer_files import GOLD, TEXTS

from benchmark.analysis.alignment import align
from benchmark.analysis.exchange import Answers, GradedAnswer
from benchmark.errors import BenchmarkError

IDS = tuple(f"test-{number}" for number in range(6))
BACKWARDS = (5, 4, 3, 2, 1, 0)


def answers(
    path: str,
    order: Sequence[int] = range(6),
    ids: Sequence[str] | None = IDS,
    texts: Sequence[str] | None = None,
    gold: Sequence[str] | None = GOLD,
    **values: Any,
) -> Answers:
    """Items in this order."""
    rows = tuple(
        GradedAnswer(
            f"{path}, row {row}",
            True,
            ids and ids[item],
            texts and texts[item],
            gold and gold[item],
        )
        for row, item in enumerate(order, start=1)
    )
    return Answers(path, path, rows, **{"id_kind": "id"} | values)


@pytest.mark.parametrize(
    ("values", "by"),
    [
        ({}, "id (test-#)"),
        ({"ids": ["a", "b1", "c", "d", "e", "f"]}, "id"),
        ({"ids": None, "texts": TEXTS}, "text"),
        ({"ids": None, "texts": TEXTS, "gold": None}, "text"),
    ],
)
def test_items_are_matched_by_what_names_them(values: dict[str, Any], by: str) -> None:
    first, other, third = answers("a", **values), answers("b", BACKWARDS, **values), answers("c", **values)
    aligned = align([first, other, third])
    assert aligned.by == by
    assert [row.location for row in aligned.files[1]] == [f"b, row {row}" for row in (6, 5, 4, 3, 2, 1)]
    assert aligned.files[0] == first.rows
    assert aligned.files[2] == third.rows


def test_ids_name_items_if_every_file_shares_some_with_the_first() -> None:
    ids = [["a", "b1", "b2"], ["a", "x", "y"], ["b1", "b2", "z"]]
    files = [answers(f"file{place}", range(3), ids=of_file) for place, of_file in enumerate(ids)]
    with pytest.raises(BenchmarkError, match="file0, row 2: this item is not in file1"):
        align(files)


@pytest.mark.parametrize(
    "other",
    [
        {"ids": None},
        {"ids": [str(number) for number in range(6)]},
        {"id_kind": "doc_id"},
        {"ids": None, "texts": TEXTS},
    ],
)
def test_without_common_names_the_order_counts_if_gold_labels_are_equal(other: dict[str, Any]) -> None:
    assert align([answers("a"), answers("b", **other)]).by == "order, with equal gold labels"
    with pytest.raises(BenchmarkError, match="b, row 1: the gold label is 'glad', but 'calm'"):
        align([answers("a"), answers("b", (1, 0, 2, 3, 4, 5), **other)])


@pytest.mark.parametrize(
    ("first", "other", "said"),
    [
        ({}, {"gold": ("calm", "glad", "tense", "calm", "calm", "glad")}, "b, row 4: the gold label is 'calm'"),
        ({}, {"order": (0, 1, 2, 3)}, "a, row 5: this item is not in b (2 items"),
        ({"order": (0, 1, 2, 3)}, {}, "b, row 5: this item is not in a (2 items"),
        ({"ids": None, "texts": TEXTS, "order": (0, 2)}, {"ids": None, "texts": TEXTS, "order": (2, 4)}, "a, row 1"),
        (
            {"texts": TEXTS},
            {"texts": [TEXTS[0], *TEXTS[:0:-1]]},
            "b, row 2: the text is not that of a, row 2, but that",
        ),
        ({"ids": None}, {"order": (0, 1, 2)}, "b has 3 rows and a has 6"),
        ({"ids": None}, {"gold": None}, "b has no gold labels"),
        ({"ids": None, "gold": ("1",) * 6}, {"gold": ("1",) * 6}, "a has one gold label in all rows"),
        ({"test_sha256": "a" * 64}, {"test_sha256": "b" * 64}, "a and b answer different test texts"),
        ({}, {"ids": [f"test-{number}" for number in range(6, 12)]}, "a, row 1: this item is not in b (12 items"),
    ],
)
def test_what_contradicts_is_refused_with_its_place(first: dict[str, Any], other: dict[str, Any], said: str) -> None:
    with pytest.raises(BenchmarkError) as refused:
        align([answers("a", **first), answers("b", **other)])
    assert said in refused.value.problem
    assert refused.value.fix


def test_test_texts_of_runs_are_compared_whatever_the_first_file_is() -> None:
    runs = [answers(name, test_sha256=name * 64) for name in "bc"]
    with pytest.raises(BenchmarkError, match="b and c answer different test texts"):
        align([answers("a"), *runs])


def test_repeated_texts_must_be_in_the_same_order() -> None:
    texts, gold = ["x", "x", "y", "z", "z", "y"], ["calm", "glad", "glad", "glad", "calm", "glad"]
    first = answers("a", ids=None, texts=texts, gold=gold)
    assert align([first, answers("b", ids=None, texts=texts, gold=gold)]).by == "order, with equal gold labels"
    with pytest.raises(BenchmarkError, match="b, row 3: the text is not that of a, row 3"):
        align([first, answers("b", (0, 1, 3, 2, 4, 5), ids=None, texts=texts, gold=gold)])
