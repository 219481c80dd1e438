"""What accuracy costs: training time, memory, trained parameters and time to answer, and who pays more for less."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from benchmark.analysis.comparisons import fields
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.variants import Variant
from benchmark.results.record import RunRecord

AXES = {
    "training_seconds": "training time",
    "peak_memory": "peak memory",
    "trained_parameters": "parameters trained",
    "seconds_per_text": "time to answer",
}
"""What is paid, by the name of its column."""
CLEARLY = 0.9  # of another's cost: what differs less may be the machine's mood


@dataclass(frozen=True)
class Offer:
    """A variant as somebody choosing sees it: its accuracy, and what it costs on each axis that was measured.

    Costs are medians over the seeds of one machine, that of most.
    """

    variant: Variant
    costs: dict[str, float]

    @cached_property
    def accuracy(self) -> float:
        return self.variant.accuracy

    @property
    def hardware(self) -> str:
        return self.variant.hardware[0]

    def beats(self, other: "Offer", axes: Collection[str], margin: float = 1.0) -> bool:
        """At least as accurate and as cheap on these axes, on which both were measured, and better in one respect.

        A cost is better below `margin` times the other's.
        """
        paid = [(self.costs[axis], other.costs[axis]) for axis in axes]
        no_worse = self.accuracy >= other.accuracy and all(ours <= theirs for ours, theirs in paid)
        better = self.accuracy > other.accuracy or any(ours < margin * theirs for ours, theirs in paid)
        return bool(paid) and no_worse and better

    def dominates(self, other: "Offer") -> bool:
        """Beats the other on every axis that it was measured on, on the same hardware, and not by noise alone."""
        comparable = self.hardware == other.hardware and other.costs.keys() <= self.costs.keys()
        return comparable and self.beats(other, other.costs, CLEARLY)


def offers(evidence: Evidence) -> list[Offer]:
    """Every variant with results on the test texts that most answered, the most accurate first."""
    return [Offer(variant, _costs(variant)) for field in fields(evidence)[:1] for variant in field.variants]


def dominating(offer: Offer, found: list[Offer]) -> list[Offer]:
    """Those of `found` that dominate `offer`, in their order."""
    return [other for other in found if other.dominates(offer)]


def on_frontier(found: list[Offer], axis: str) -> list[Offer]:
    """Those measured on `axis` for which nobody offers more accuracy for less of it."""
    measured = [offer for offer in found if axis in offer.costs]
    return [offer for offer in measured if not any(other.beats(offer, [axis]) for other in measured)]


def frontier(evidence: Evidence) -> pd.DataFrame:
    """Accuracy and costs; on which axes a variant is a sensible choice, and which variants beat it on all of them.

    Times are as measured, each on the hardware named: across different hardware they say little.
    """
    found = offers(evidence)
    best_on = {axis: on_frontier(found, axis) for axis in AXES}
    rows = [
        {
            "model": offer.variant.first.title,
            "recipe": offer.variant.recipe,
            "accuracy": offer.accuracy,
            **{axis: offer.costs.get(axis) for axis in AXES},
            "hardware": offer.hardware,
            "frontier": ", ".join(name for axis, name in AXES.items() if offer in best_on[axis]) or None,
            "dominated_by": "; ".join(other.variant.name for other in dominating(offer, found)) or None,
        }
        for offer in found
    ]
    columns = ["model", "recipe", "accuracy", *AXES, "hardware", "frontier", "dominated_by"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _costs(variant: Variant) -> dict[str, float]:
    """What is measured of every seed of the machine."""
    costs = [_cost(run.record) for run in variant.timed]
    return {
        axis: float(np.median([cost[axis] for cost in costs]))
        for axis in AXES
        if all(cost[axis] is not None for cost in costs)
    }


def _cost(record: RunRecord) -> dict[str, float | None]:
    """What was made elsewhere cost nothing here."""
    if record.config["model"]["family"] == "external":
        return dict.fromkeys(AXES)
    fit, seconds = record.fit, record.seconds
    return {
        "training_seconds": record.training_seconds if "fit" in seconds else None,
        "peak_memory": record.memory,
        "trained_parameters": (fit.trained_parameters or None) if fit else None,
        "seconds_per_text": seconds["predict"] / record.predicted_rows
        if "predict" in seconds and record.predicted_rows
        else None,
    }
