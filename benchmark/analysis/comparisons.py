"""Every two variants that answered the same test texts, compared: what differs, what is tied, what could be seen."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from benchmark.analysis.evidence import Evidence
from benchmark.analysis.paired import (
    combined,
    combining_factor,
    detectable_difference,
    discordant,
    holm,
    interval_of_difference,
    mcnemar,
    resampled,
    tied_groups,
)
from benchmark.analysis.statistics import Interval
from benchmark.analysis.variants import Variant, with_results

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """The better of two variants against the other; the difference is that of their mean accuracies.

    Wins and losses, the items that only one of both gets right, are means over the pairs of seeds. Each pair
    gives a McNemar p; `p` combines them (`paired.combined`), `adjusted_p` is Holm's over all comparisons.
    """

    better: Variant
    other: Variant
    difference: float
    interval: Interval
    wins: float
    losses: float
    pairs: int
    p: float
    adjusted_p: float
    detectable: float | None  # with 80% power at this discordance, at the strictest step of Holm's correction

    @property
    def differs(self) -> bool:
        """Both must say so: McNemar, which knows the items, and the bootstrap, which knows the seeds as well."""
        return self.adjusted_p < ALPHA and self.interval.low > 0


@dataclass(frozen=True)
class Field:
    """The variants that answered one test set, the most accurate first, and all comparisons between them."""

    variants: list[Variant]
    comparisons: list[Comparison]  # of (0, 1), (0, 2), ..., (1, 2), ...

    @property
    def by_place(self) -> dict[tuple[int, int], Comparison]:
        """The comparisons by the places of both in `variants`."""
        return dict(zip(combinations(range(len(self.variants)), 2), self.comparisons, strict=True))

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The largest groups of places in `variants` between which no difference was found."""
        differing = {places for places, found in self.by_place.items() if found.differs}
        return tied_groups(len(self.variants), differing)


@lru_cache(maxsize=1)
def fields(evidence: Evidence) -> list[Field]:
    """One field for each content of the test split of the study's data set, the largest first."""
    by_content: dict[str, list[Variant]] = {}
    for variant in with_results(evidence):
        by_content.setdefault(variant.results[0].record.splits["test"]["sha256"], []).append(variant)
    return [_field(tuple(found)) for found in sorted(by_content.values(), key=len, reverse=True)]


def _field(found: tuple[Variant, ...]) -> Field:
    items = found[0].correct.shape[1]
    drawn = [resampled(variant.correct) for variant in found]
    measured = []
    for one, other in combinations(range(len(found)), 2):
        counts = discordant(found[one].correct, found[other].correct)
        wins, losses = np.mean(counts, axis=0).tolist()
        p = combined([mcnemar(*pair) for pair in counts])
        interval = interval_of_difference(drawn[one], drawn[other], items)
        measured.append((one, other, interval, wins, losses, len(counts), p))
    adjusted = holm([p for *_, p in measured])
    comparisons = [
        Comparison(
            found[one],
            found[other],
            found[one].accuracy - found[other].accuracy,
            interval,
            wins,
            losses,
            pairs,
            p,
            adjusted_p,
            detectable_difference(
                items, (wins + losses) / items, alpha=ALPHA / len(measured) / combining_factor(pairs)
            ),
        )
        for (one, other, interval, wins, losses, pairs, p), adjusted_p in zip(measured, adjusted, strict=True)
    ]
    return Field(list(found), comparisons)
