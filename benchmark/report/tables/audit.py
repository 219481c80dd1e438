"""What the study's own figures can mean: which can be accuracies, which comparisons could be significant."""

import math
from collections.abc import Iterable
from itertools import combinations, count, islice
from typing import Any

import pandas as pd
from scipy import stats

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.inference import ALPHA, holm, mcnemar, possible_counts, unpaired_z
from benchmark.report.formats import count as counted
from benchmark.report.formats import fixed, p_value, plain
from benchmark.report.table import FOUR_DECIMALS, Column, Table, ValueSource, derived

ROUNDING = 0.5e-4  # what four printed decimals leave open in either direction
MOST_ROWS, MOST_RUNS = 10_000, 10  # limits of the search for test sets and numbers of runs


def study_audit(_: AnalysedResults) -> pd.DataFrame:
    """Each published accuracy with the counts of correct answers that round to it, and what else would fit.

    `fitting_rows` are the three smallest test sets with a count that rounds to it, `fitting_runs` the three smallest
    numbers of runs whose mean on the study's test texts does. The last rows ask this of several accuracies at once.
    """
    encoders = [figure for model, figure in study.TABLE3.items() if model not in study.DECODERS]
    rows = [_figure(study.TABLE3_TITLES[model], [figure]) for model, figure in study.TABLE3.items()]
    rows += [_figure("the four encoders", encoders), _figure("all five", [*study.TABLE3.values()])]
    return pd.DataFrame(rows, dtype=object)


def study_comparisons(_: AnalysedResults) -> pd.DataFrame:
    """Every two published accuracies with the strongest statement that tests could make with the predictions.

    `unpaired_p` is all that the accuracies alone allow. `best_p` is McNemar's if the better model were correct wherever
    the other is; it stays below 0.05 while only one of the two is correct on at most `most_discordant` texts, not
    corrected for the number of pairs. `adjusted_p` is `unpaired_p` after Holm's correction.
    """
    order = sorted(study.TABLE3, key=study.TABLE3.__getitem__, reverse=True)
    rows = [_comparison(better, other) for better, other in combinations(order, 2)]
    for row, adjusted_p in zip(rows, holm([row["unpaired_p"] for row in rows]), strict=True):
        row["adjusted_p"] = float(f"{adjusted_p:.4g}")
        row["significance"] = _significance(adjusted_p, row["best_p"])
    return pd.DataFrame(rows, dtype=object)


def impossible_accuracies() -> dict[str, float]:
    """The accuracies of the study's Table 3 that no number of correct texts gives, by model."""
    return {model: figure for model, figure in study.TABLE3.items() if not possible_counts(figure, study.TEST_ROWS)}


def _figure(name: str, figures: list[float]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "figure": name,
        "fitting_rows": _smallest(figures, rows=1, up_to=MOST_ROWS),
        "fitting_runs": _smallest(figures, rows=study.TEST_ROWS, up_to=MOST_RUNS),
    }
    if len(figures) > 1:
        return row
    counts = possible_counts(figures[0], study.TEST_ROWS)
    below = int(figures[0] * study.TEST_ROWS)
    nearest = [f"{k:,}/{study.TEST_ROWS:,} = {k / study.TEST_ROWS:.4f}" for k in counts or (below, below + 1)]
    return row | {"study": figures[0], "possible_counts": _listed(counts) or "none", "nearest": _listed(nearest)}


def _smallest(figures: list[float], rows: int, up_to: int) -> str:
    """The three smallest multiples of `rows` on which every figure is possible."""
    fitting = (n for n in range(1, up_to + 1) if all(possible_counts(figure, n * rows) for figure in figures))
    return _listed(islice(fitting, 3)) or f"none up to {up_to:,}"


def _comparison(better: str, other: str) -> dict[str, Any]:
    first, second = study.TABLE3[better], study.TABLE3[other]
    # Figures that are not counts leave the count open; the next whole number is the most they can mean.
    texts = math.ceil(round((first - second + 2 * ROUNDING) * study.TEST_ROWS, 6))
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
    }


def _significance(adjusted_p: float, best_p: float) -> str:
    if best_p >= ALPHA:
        return "impossible"
    return "even unpaired" if adjusted_p < ALPHA else "not known"


def _most_discordant(net: int) -> int:
    """The most texts that only one of two models gets right, `net` more for the better, for McNemar's p below 0.05."""
    too_many = next(losses for losses in count() if mcnemar(net + losses, losses) >= ALPHA)
    return net + 2 * (too_many - 1)


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(plain(item) for item in items)


TABLES = (
    Table(
        "study_audit",
        "Which counts of correct predictions the printed accuracies can stand for",
        study_audit,
        (
            derived("figure", "Figure"),
            Column("study", "Study", FOUR_DECIMALS, source=ValueSource.study),
            derived("possible_counts", f"Correct of {study.TEST_ROWS:,}"),
            derived("nearest", "Nearest"),
            derived("fitting_rows", "Smallest test sets"),
            derived("fitting_runs", "Means of runs"),
        ),
        note="An accuracy on n texts is k/n. *Smallest test sets* are those on which some k/n rounds to the figure; "
        "*means of runs* are the numbers of runs on 2,000 texts whose mean can round to it.",
        section="audit",
    ),
    Table(
        "study_comparisons",
        "What a test of the printed accuracies could find at best",
        study_comparisons,
        (
            derived("better", "Better"),
            derived("other", "Other"),
            derived("difference", "Difference", format=fixed("+.4f")),
            derived("texts", "Texts", format=counted),
            derived("z", "Unpaired z", format=fixed(".2f")),
            derived("unpaired_p", "Unpaired p", format=p_value),
            derived("adjusted_p", "Unpaired p, Holm", format=p_value),
            derived("best_p", "p at best", format=p_value),
            derived("most_discordant", "Discordant texts, at most"),
            derived("significance", "Significant"),
        ),
        note="The study published no predictions, so only bounds can be computed, as if each accuracy came "
        "from one run on 2,000 texts. *Texts* is the difference in correct "
        "predictions. *Unpaired* is the test of two shares on different texts, corrected by Holm for all pairs. "
        "*P at best* is McNemar's if the better model is correct wherever the other is, without a correction: that "
        "test finds the difference as long as at most *discordant texts* are right for only one of the two.",
        section="audit",
    ),
)
