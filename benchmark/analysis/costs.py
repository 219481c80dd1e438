"""Accuracy against cost: which configurations are worth their cost, and which are dominated."""

from collections.abc import Collection

import pandas as pd

from benchmark.analysis.configurations import COSTS

CLEARLY = 0.9  # a cost is clearly lower below this share of the other: smaller differences may be timing noise


def frontier(table: pd.DataFrame, cost: str) -> pd.Series:
    """Whether each configuration is on the frontier of a cost: none is as accurate for less of it."""
    measured = table[table[cost].notna()]
    return pd.Series(
        [
            pd.notna(row[cost]) and not any(_beats(other, row, [cost]) for _, other in measured.iterrows())
            for _, row in table.iterrows()
        ],
        index=table.index,
        dtype=bool,
    )


def dominated_by(table: pd.DataFrame) -> list[list[str]]:
    """For each configuration, the ids of those that dominate it, in the table's order.

    One dominates another on the same machine if it is at least as accurate and costs no more on every cost measured of
    the other, and is more accurate or clearly cheaper.
    """
    rows = [row for _, row in table.iterrows()]
    return [[str(other["configuration"]) for other in rows if _dominates(other, row)] for row in rows]


def _dominates(one: pd.Series, other: pd.Series) -> bool:
    measured = [cost for cost in COSTS if pd.notna(other[cost])]
    comparable = one["machine"] == other["machine"] and all(pd.notna(one[cost]) for cost in measured)
    return comparable and _beats(one, other, measured, CLEARLY)


def _beats(one: pd.Series, other: pd.Series, costs: Collection[str], margin: float = 1.0) -> bool:
    """At least as accurate and as cheap, and more accurate or below `margin` times the other's cost."""
    paid = [(one[cost], other[cost]) for cost in costs]
    no_worse = one["accuracy"] >= other["accuracy"] and all(ours <= theirs for ours, theirs in paid)
    better = one["accuracy"] > other["accuracy"] or any(ours < margin * theirs for ours, theirs in paid)
    return bool(paid) and no_worse and better
