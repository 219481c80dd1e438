"""What the study's own Table 3 can mean: which figures can be accuracies, which comparisons could be significant."""

from collections.abc import Iterable
from itertools import combinations, count, islice
from typing import Any

import pandas as pd
from scipy import stats

from benchmark.analysis import study
from benchmark.analysis.comparisons import ALPHA
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.paired import mcnemar
from benchmark.analysis.statistics import possible_counts, unpaired_z

ROUNDING = 0.5e-4  # what four printed decimals leave open, either way
MOST_ROWS, MOST_RUNS = 10_000, 10  # larger test sets and more runs are not searched for


def study_audit(_: Evidence) -> pd.DataFrame:
    """Each published accuracy: the counts of right answers it can stand for, if any, and what else would fit.

    `fitting_rows` are the three smallest test sets with a count that rounds to it, `fitting_runs` the three
    smallest numbers of runs whose mean on the study's 2,000 texts does. The last rows ask it of several at once.
    """
    encoders = [figure for model, figure in study.TABLE3.items() if model != "llama3_lora"]
    rows = [_figure(study.TABLE3_TITLES[model], [figure]) for model, figure in study.TABLE3.items()]
    rows += [_figure("the four encoders", encoders), _figure("all five", list(study.TABLE3.values()))]
    columns = ["figure", "study", "possible_counts", "nearest", "fitting_rows", "fitting_runs"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def study_comparisons(_: Evidence) -> pd.DataFrame:
    """Every two published accuracies: what tests could say at best, had the predictions been published.

    `unpaired_p` is all that the accuracies alone allow. `best_p` is McNemar's if the better model were right
    wherever the other is; it stays below 0.05 while the two answer differently (one right, one wrong) on no
    more than `most_discordant` of the texts. Nothing is corrected for asking ten times.
    """
    order = sorted(study.TABLE3, key=study.TABLE3.__getitem__, reverse=True)
    rows = [_comparison(better, other) for better, other in combinations(order, 2)]
    columns = [
        "better", "other", "difference", "texts", "z", "unpaired_p", "best_p", "most_discordant", "significance",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _figure(name: str, figures: list[float]) -> dict[str, Any]:
    alone = len(figures) == 1
    counts = possible_counts(figures[0], study.TEST_ROWS)
    right = figures[0] * study.TEST_ROWS
    nearest = sorted({int(right), int(right) + 1}) if alone and not counts else counts
    return {
        "figure": name,
        "study": figures[0] if alone else None,
        "possible_counts": (_listed(counts) or "none") if alone else None,
        "nearest": _listed([f"{k:,}/{study.TEST_ROWS:,} = {k / study.TEST_ROWS:.4f}" for k in nearest])
        if alone
        else None,
        "fitting_rows": _smallest(figures, rows=1, up_to=MOST_ROWS),
        "fitting_runs": _smallest(figures, rows=study.TEST_ROWS, up_to=MOST_RUNS),
    }


def _smallest(figures: list[float], rows: int, up_to: int) -> str:
    """The three smallest multiples of `rows` on which every figure is possible."""
    numbers = range(1, up_to + 1)
    fitting = (n for n in numbers if all(possible_counts(figure, n * rows) for figure in figures))
    return _listed(islice(fitting, 3)) or f"none up to {up_to:,}"


def _comparison(better: str, other: str) -> dict[str, Any]:
    first, second = study.TABLE3[better], study.TABLE3[other]
    # Figures that are no counts leave the count open; the next whole one is the most that they can mean.
    texts = int(-(-round((first - second + 2 * ROUNDING) * study.TEST_ROWS, 6) // 1))
    z = unpaired_z(first, second, study.TEST_ROWS)
    unpaired_p = 2 * float(stats.norm.sf(z))
    best_p = mcnemar(texts, 0)
    return {
        "better": study.TABLE3_TITLES[better],
        "other": study.TABLE3_TITLES[other],
        "difference": round(first - second, 4),
        "texts": texts,
        "z": round(z, 4),
        "unpaired_p": float(f"{unpaired_p:.4g}"),
        "best_p": float(f"{best_p:.4g}"),
        "most_discordant": _most_discordant(texts) if best_p < ALPHA else None,
        "significance": _significance(unpaired_p, best_p),
    }


def _significance(unpaired_p: float, best_p: float) -> str:
    if best_p >= ALPHA:
        return "impossible"
    return "even unpaired" if unpaired_p < ALPHA else "unknown without the predictions"


def _most_discordant(net: int) -> int:
    """The most texts on which one is right and one wrong, `net` more in favour, that McNemar still finds."""
    too_many = next(losses for losses in count() if mcnemar(net + losses, losses) >= ALPHA)
    return net + 2 * (too_many - 1)


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(str(item) for item in items)
