"""Rows are drawn by label, the same every time, and no label is lost where that can be avoided."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.row_choice import choose, split_off_validation
from benchmark.dataset_config import RowChoice
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def split(labels: list[int]) -> Examples:
    names = tuple(f"train-{row}" for row in range(len(labels)))
    return Examples(names, names, np.array(labels))


def test_rows_that_are_sorted_by_label_are_drawn_in_their_proportions() -> None:
    drawn = choose(split([0] * 600 + [1] * 300 + [2] * 99 + [3]), 100, RowChoice.stratified)
    assert Counter(drawn.labels.tolist()) == {0: 59, 1: 30, 2: 10, 3: 1}
    numbers = [int(name.removeprefix("train-")) for name in drawn.ids]
    assert numbers == sorted(numbers)
    assert numbers[:59] != list(range(59))


def test_a_balanced_draw_has_as_many_rows_of_each_label_until_one_has_no_more() -> None:
    drawn = choose(split([0] * 60 + [1] * 30 + [2] * 3), 30, RowChoice.balanced)
    assert Counter(drawn.labels.tolist()) == {0: 14, 1: 13, 2: 3}


@pytest.mark.parametrize("choice", [RowChoice.stratified, RowChoice.balanced])
@settings(derandomize=True, deadline=None)
@given(labels=LABELS, rows=st.integers(1, 70))
def test_a_draw_has_every_label_that_it_can_hold_and_is_part_of_larger_draws(
    labels: list[int], rows: int, choice: RowChoice
) -> None:
    examples = split(labels)
    drawn = choose(examples, rows, choice)
    assert len(drawn) == min(rows, len(labels))
    assert len(set(drawn.labels.tolist())) == min(len(set(labels)), len(drawn))
    assert set(drawn.ids) <= set(choose(examples, rows + 1, choice).ids)


@settings(derandomize=True, deadline=None)
@given(labels=LABELS, share=st.floats(0.01, 0.99))
def test_carving_never_takes_the_last_training_row_of_a_label(labels: list[int], share: float) -> None:
    examples = split(labels)
    if max(Counter(labels).values()) == 1:
        with pytest.raises(BenchmarkError):
            split_off_validation(examples, share)
        return
    train, validation = split_off_validation(examples, share)
    assert set(train.labels.tolist()) == set(labels)
    assert sorted(train.ids + validation.ids) == sorted(examples.ids)
    assert len(validation) > 0
