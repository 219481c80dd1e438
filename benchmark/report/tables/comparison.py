"""Which differences are significant: pairs, groups of tied models, and every seed that was asked for."""

import math
from functools import partial
from string import ascii_lowercase

import pandas as pd

from benchmark.analysis import comparisons
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.formats import count, fixed, p_value
from benchmark.report.table import ACCURACY, FOUR_DECIMALS, IDENTITY, SEEDS, SPREAD, Column, Table, declared
from benchmark.results.record import Status


def pairwise(analysis: AnalysedResults) -> pd.DataFrame:
    """Every two configurations that predicted the same test texts, the more accurate first."""
    pairs = analysis.comparisons
    return pairs.assign(
        better_id=pairs["better"],
        other_id=pairs["other"],
        better=pairs["better"].map(analysis.short_names),
        other=pairs["other"].map(analysis.short_names),
        p=[four_digits(p) for p in pairs["p"]],
        adjusted_p=[four_digits(p) for p in pairs["adjusted_p"]],
        detectable=[math.nan if difference is None else round(difference, 6) for difference in pairs["detectable"]],
    )


def ties(analysis: AnalysedResults) -> pd.DataFrame:
    """The letters of each configuration's groups; letters never span two test sets."""
    parts, used = [], 0
    for comparable in comparisons.by_test_texts(analysis.configurations):
        groups = comparisons.tied_groups(comparable, analysis.comparisons)
        parts.append(comparable.assign(group=letters(groups, len(comparable), used), model=comparable["title"]))
        used += len(groups)
    return pd.concat(parts) if parts else pd.DataFrame()


def seeds(analysis: AnalysedResults) -> pd.DataFrame:
    """How every seed that was asked for ended, and the accuracies over all counted seeds."""
    configurations = analysis.configurations
    configurations = configurations[~configurations["reduced"].astype(bool)]
    status = analysis.results.runs.groupby(["configuration", "status"]).size().unstack(fill_value=0)
    counts = status.reindex(index=configurations["configuration"], columns=list(map(str, Status)), fill_value=0)
    accuracies = [
        analysis.results.correct(runs).mean(axis=1) if runs else [math.nan] for runs in configurations["counted"]
    ]
    table = configurations.assign(
        model=configurations["title"],
        mean=configurations["accuracy"],
        asked=[len(runs) for runs in configurations["runs"]],
        minimum=[float(min(of)) for of in accuracies],
        maximum=[float(max(of)) for of in accuracies],
        **{str(name): column.to_list() for name, column in counts.items()},
    )
    falling = table.astype({"mean": float})
    return falling.sort_values(["mean", "model", "recipe"], ascending=[False, True, True], na_position="last")


def letters(groups: list[tuple[int, ...]], count: int, used: int = 0) -> list[str]:
    """The letters of the groups that each of `count` models is in; the first `used` letters are taken."""
    named = [(letter(used + number), group) for number, group in enumerate(groups)]
    return [" ".join(name for name, group in named if place in group) for place in range(count)]


def letter(number: int) -> str:
    """The letter with this number: a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, len(ascii_lowercase))
    return (letter(more - 1) if more else "") + ascii_lowercase[last]


def four_digits(p: float) -> float:
    """Round a p-value to four digits: the others differ between versions of the library that computes it."""
    return float(f"{p:.4g}")


TABLES = (
    Table(
        "pairwise",
        "All pairs of models, the more accurate first",
        pairwise,
        (
            Column("better_id"),
            Column("other_id"),
            declared("better", "Better"),
            declared("other", "Other"),
            Column("difference", "Difference", fixed("+.4f")),
            Column("low", "95% interval", FOUR_DECIMALS, "of the difference", end="high"),
            Column("wins", "Only the better is correct", partial(count, decimals=2)),
            Column("losses", "Only the other is correct", partial(count, decimals=2)),
            Column("seed_pairs", "Pairs of seeds"),
            Column("p", "McNemar's p", p_value),
            Column("adjusted_p", "p, Holm", p_value),
            Column("detectable", "Detectable at 80% power", FOUR_DECIMALS),
            Column("verdict", "Verdict"),
        ),
        note="Every seed of one model is paired with every seed of the other (*pairs of seeds*). The two counts are "
        "means over these pairs, so that their difference, divided by the number of texts, is the difference of the "
        "accuracies. The interval is a paired bootstrap over seeds and texts, at least as wide as the adjusted Wald "
        "interval of the two counts. *McNemar's p* is exact; of k pairs of seeds it is k/m times the m-th smallest, "
        "with m the upper median place, which is valid under any dependence. *Holm* corrects for all pairs on the same "
        "test texts. Two models differ if that is below 0.05 and the interval excludes 0; otherwise no "
        "significant difference was found. "
        "*Detectable* is the difference that McNemar's test would find with 80% power on one pair of seeds at the "
        "measured disagreement, at 0.05 divided by the number of comparisons, Holm's strictest step, and by k/m.",
        section="pairs",
    ),
    Table(
        "ties",
        "Groups of models without a significant difference",
        ties,
        (*IDENTITY, ACCURACY, SEEDS, Column("group", "Group")),
        note="No significant difference was found between two models that share a letter. A model can be in several "
        "groups. Training options have rows too; the figure leaves them out.",
        section="differences",
    ),
    Table(
        "seeds",
        "Seeds of every configuration",
        seeds,
        (
            *IDENTITY,
            Column("asked", "Asked"),
            Column("completed", "Completed"),
            Column("failed", "Failed"),
            Column("interrupted", "Interrupted"),
            Column("collapsed", "One label for all"),
            Column("mean", "Mean", FOUR_DECIMALS),
            SPREAD,
            Column("minimum", "Lowest", FOUR_DECIMALS),
            Column("maximum", "Highest", FOUR_DECIMALS),
        ),
        note="*One label for all* counts completed seeds that predict one label for every text, as the majority label "
        "does by design; they are part of the mean.",
        section="pairs",
    ),
)
