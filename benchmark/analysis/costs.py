"""Accuracy against cost: which configurations are worth their cost, and which are dominated.

A lead counts only if it is significant: `leads` holds the ids (better, other) of the pairs that differ.
"""

from collections.abc import Collection

import pandas as pd

from benchmark.analysis.configurations import COSTS

Leads = Collection[tuple[str, str]]

BY_DEVICE = [cost for cost in COSTS if cost != "trained_parameters"]
"""The costs that are not comparable between CPUs and GPUs."""
CLEARLY = 0.9  # a cost is clearly lower below this share of the other: smaller differences may be timing noise


def significant_leads(comparisons: pd.DataFrame) -> set[tuple[str, str]]:
    """The ids (better, other) of the pairs of `comparisons` that differ."""
    differing = comparisons[comparisons["differs"].astype(bool)]
    return set(zip(differing["better"], differing["other"], strict=True))


def frontier(table: pd.DataFrame, cost: str, leads: Leads) -> pd.Series:
    """Whether each configuration is on the frontier of a cost.

    From the cheapest on, a configuration joins if it leads every one that joined before; of several that are not
    clearly dearer than the next, the most accurate joins. So each step of the frontier is a significant gain, although
    ties are not transitive. Costs of `BY_DEVICE` have one frontier among the configurations on CPUs and one among
    those on GPUs.
    """
    priced = table[table[cost].notna()]
    devices = [priced[priced["on_gpu"] == on_gpu] for on_gpu in (False, True)] if cost in BY_DEVICE else [priced]
    return table["configuration"].isin(
        [configuration for part in devices for configuration in _joining(part, cost, leads)]
    )


def dominated_by(table: pd.DataFrame, leads: Leads) -> list[list[str]]:
    """The ids of the configurations that dominate each configuration, in the table's order.

    One dominates another on the same machine if the other does not lead it, it costs no more on every cost measured of
    the other, and it leads the other or is clearly cheaper.
    """
    rows = [row for _, row in table.iterrows()]
    return [
        [str(candidate["configuration"]) for candidate in rows if _dominates(candidate, target, leads)]
        for target in rows
    ]


def _joining(priced: pd.DataFrame, cost: str, leads: Leads) -> list[str]:
    joined: list[str] = []
    ranked = priced.sort_values([cost, "accuracy"], ascending=[True, False], kind="stable")
    ordered = [row for _, row in ranked.iterrows()]
    while ordered := [row for row in ordered if all((row["configuration"], one) in leads for one in joined)]:
        near = [row for row in ordered if CLEARLY * row[cost] <= ordered[0][cost]]
        joined.append(max(near, key=lambda row: row["accuracy"])["configuration"])
    return joined


def _dominates(candidate: pd.Series, target: pd.Series, leads: Leads) -> bool:
    measured = [cost for cost in COSTS if pd.notna(target[cost])]
    if candidate["machine"] != target["machine"] or not measured or any(pd.isna(candidate[cost]) for cost in measured):
        return False
    ours, theirs = candidate["configuration"], target["configuration"]
    no_worse = (theirs, ours) not in leads and all(candidate[cost] <= target[cost] for cost in measured)
    better = (ours, theirs) in leads or any(candidate[cost] < CLEARLY * target[cost] for cost in measured)
    return no_worse and better
