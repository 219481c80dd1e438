from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from benchmark.analysis.configurations import COSTS
from benchmark.analysis.costs import dominated_by, frontier, significant_leads


def table(**configurations: tuple[float, ...]) -> pd.DataFrame:
    """Configurations by name: accuracy, then the costs in the order of COSTS; all costs are equal if one is given."""
    rows: list[dict[str, Any]] = []
    for name, (accuracy, *given) in configurations.items():
        costs = given * len(COSTS) if len(given) == 1 else given
        machine = {"machine": name[-3:], "on_gpu": name.endswith("_gpu")}
        rows.append({"configuration": name, "accuracy": accuracy, **machine, **dict(zip(COSTS, costs))})  # noqa: B905
    return pd.DataFrame(rows).astype(object)


def leads(found: pd.DataFrame, least: float = 0.05) -> set[tuple[str, str]]:
    """The pairs whose accuracies differ by `least` or more."""
    order = found.sort_values("accuracy", ascending=False)[["configuration", "accuracy"]].itertuples(index=False)
    return {(better, other) for (better, high), (other, low) in combinations(order, 2) if high - low >= least - 1e-9}


def on_frontier(found: pd.DataFrame) -> list[str]:
    return found.loc[frontier(found, "peak_memory", leads(found)), "configuration"].tolist()


NONE = float("nan")


def test_the_frontier_has_what_no_other_is_as_accurate_as_for_less() -> None:
    found = table(best=(0.9, 8), cheap=(0.7, 1), worse=(0.8, 9), dear=(0.9, 8.1), unknown=(1.0, NONE))
    assert on_frontier(found) == ["best", "cheap"]
    assert frontier(found, "peak_memory", leads(found)).index.equals(found.index)


def test_a_lead_that_is_not_significant_does_not_reach_the_frontier() -> None:
    assert on_frontier(table(dear=(0.93, 9), cheap=(0.90, 1))) == ["cheap"]
    assert on_frontier(table(same=(0.93, 1), cheap=(0.90, 1))) == ["same"]


def test_of_costs_that_differ_by_less_than_a_tenth_the_most_accurate_is_on_the_frontier() -> None:
    assert on_frontier(table(noise=(0.93, 105), cheap=(0.92, 100))) == ["noise"]
    assert on_frontier(table(dearer=(0.93, 115), cheap=(0.92, 100))) == ["cheap"]


def test_a_chain_of_ties_does_not_hide_a_significant_lead() -> None:
    assert on_frontier(table(dear=(0.96, 9), middle=(0.93, 5), cheap=(0.90, 1))) == ["dear", "cheap"]


def test_cpus_and_gpus_have_frontiers_of_their_own_except_for_trained_parameters() -> None:
    found = table(one_cpu=(0.9, 1), two_gpu=(0.9, 2), three_gpu=(0.8, 3), four_gpu=(0.96, 4))
    on = {cost: found.loc[frontier(found, cost, leads(found)), "configuration"].tolist() for cost in COSTS}
    assert on.pop("trained_parameters") == ["one_cpu", "four_gpu"]
    assert [*on.values()] == [["one_cpu", "two_gpu", "four_gpu"]] * 3


def test_leads_are_the_pairs_that_differ() -> None:
    pairs = pd.DataFrame({"better": ["a", "a"], "other": ["b", "c"], "differs": [True, False]}, dtype=object)
    assert significant_leads(pairs) == {("a", "b")}


def test_a_dominating_configuration_is_as_good_in_everything() -> None:
    found = table(a_cpu=(0.9, 1, 1, 1, 1), b_cpu=(0.8, 2, 2, 2, 2), c_cpu=(0.85, 0.5, 3, 2, 2), d_cpu=(0.7, 9, 9, 9, 9))
    assert dominated_by(found, leads(found)) == [[], ["a_cpu"], [], ["a_cpu", "b_cpu", "c_cpu"]]


@pytest.mark.parametrize(
    ("other", "dominated"),
    [
        ((0.9, 10, 10, 10, 10), False),  # equal
        ((0.8, 10, 10, 10, 10), True),  # less accurate at the same cost
        ((0.87, 10, 10, 10, 10), False),  # tied at the same cost
        ((0.93, 20, 10, 10, 10), True),  # tied at a higher cost
        ((0.97, 20, 10, 10, 10), False),  # more accurate at a higher cost
        ((0.9, 11, 10, 10, 10), False),  # 10 is not below 0.9 x 11
        ((0.9, 11.2, 10, 10, 10), True),  # 10 is below 0.9 x 11.2
        ((0.8, 9.9, 10, 10, 10), False),  # cheaper, however little
        ((0.8, NONE, 10, 10, 10), True),  # a cost that was not measured of the other does not count
        ((0.8, NONE, NONE, NONE, NONE), False),  # nothing to compare
    ],
)
def test_one_dominates_if_it_is_more_accurate_or_a_tenth_cheaper(other: tuple[float, ...], dominated: bool) -> None:
    found = table(one_cpu=(0.9, 10, 10, 10, 10), other_cpu=other)
    assert dominated_by(found, leads(found))[1] == (["one_cpu"] if dominated else [])


def test_a_cost_not_measured_of_one_keeps_it_from_dominating() -> None:
    found = table(one_cpu=(0.9, NONE, 1, 1, 1), other_cpu=(0.8, 2, 2, 2, 2))
    assert dominated_by(found, leads(found)) == [[], []]


def test_nothing_dominates_on_another_machine() -> None:
    found = table(a_gpu=(0.9, 1), b_cpu=(0.8, 2))
    assert dominated_by(found, leads(found)) == [[], []]
