"""Which differences are significant: pairs, groups of tied models, and every seed that was asked for."""

import math
from string import ascii_lowercase

import numpy as np
import pandas as pd

from benchmark.analysis import comparisons, study
from benchmark.report.formats import count, fixed, p_value
from benchmark.report.table import (
    ACCURACY,
    CONFIGURATION,
    FOUR,
    INTERVAL,
    MODEL,
    RECIPE,
    SEEDS,
    SPREAD,
    Analysis,
    Column,
    Source,
    Table,
)
from benchmark.results.record import Status


def pairwise(analysis: Analysis) -> pd.DataFrame:
    """Every two configurations that predicted the same test texts, the more accurate first."""
    pairs = analysis.comparisons
    return pairs.assign(
        better_id=pairs["better"],
        other_id=pairs["other"],
        better=pairs["better"].map(analysis.label),
        other=pairs["other"].map(analysis.label),
        p=[four_digits(p) for p in pairs["p"]],
        adjusted_p=[four_digits(p) for p in pairs["adjusted_p"]],
        detectable=[math.nan if found is None else round(found, 6) for found in pairs["detectable"]],
        verdict=["differ" if differs else "tied" for differs in pairs["differs"]],
    )


def ties(analysis: Analysis) -> pd.DataFrame:
    """The letters of each configuration's groups; letters never span two test sets."""
    parts, used = [], 0
    for field in comparisons.fields(analysis.configurations):
        groups = comparisons.groups(field, analysis.comparisons)
        letters = [letter(number) for number in range(used, used + len(groups))]
        used += len(groups)
        of_place = [
            " ".join(name for name, group in zip(letters, groups, strict=True) if place in group)
            for place in range(len(field))
        ]
        parts.append(field.assign(group=of_place, model=field["title"]))
    return pd.concat(parts) if parts else pd.DataFrame()


def seeds(analysis: Analysis) -> pd.DataFrame:
    """How every seed that was asked for ended; the accuracies are those of all that completed."""
    runs = analysis.results.runs
    asked = runs[(runs["dataset"] == study.DATASET)]
    rows = []
    for _, row in analysis.configurations.iterrows():
        group = asked[asked["configuration"] == row["configuration"]]
        if group.empty or group["trial"].any():
            continue
        accuracies = analysis.results.correct(row["counted"]).mean(axis=1) if row["result"] else np.array([])
        rows.append(
            {
                "configuration": row["configuration"],
                "model": row["title"],
                "recipe": row["recipe"],
                "asked": len(group),
                **{status.value: int((group["status"] == status).sum()) for status in Status},
                "collapsed": row["collapsed"] if row["result"] else 0,
                "mean": row["accuracy"] if row["result"] else None,
                "spread": row["spread"] if row["result"] else None,
                "minimum": float(accuracies.min()) if len(accuracies) else None,
                "maximum": float(accuracies.max()) if len(accuracies) else None,
            }
        )
    rows.sort(key=lambda row: (1 if row["mean"] is None else -row["mean"], row["model"], row["recipe"]))
    return pd.DataFrame(rows, dtype=object)


def letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, len(ascii_lowercase))
    return (letter(more - 1) if more else "") + ascii_lowercase[last]


def four_digits(p: float) -> float:
    """Rounded: the last digits of a p-value differ between versions of the library that computes it."""
    return float(f"{p:.4g}")


TABLES = (
    Table(
        "pairwise",
        "Every two models that predicted the same test texts, the more accurate first",
        pairwise,
        (
            Column("better_id"),
            Column("other_id"),
            Column("better", "Better", source=Source.declared),
            Column("other", "Other", source=Source.declared),
            Column("difference", "Difference", fixed("+.4f")),
            INTERVAL,
            Column("wins", "Only the better is correct", count),
            Column("losses", "Only the other is correct", count),
            Column("seed_pairs", "Pairs of seeds"),
            Column("p", "McNemar's p", p_value),
            Column("adjusted_p", "p, Holm", p_value),
            Column("detectable", "Detectable at 80% power", FOUR),
            Column("verdict", "Verdict"),
        ),
        note="The interval is a paired bootstrap over seeds and texts. *McNemar's p* is exact; of k pairs of seeds it "
        "is k/m times the m-th smallest, with m the upper median place, which is valid under any dependence. *Holm* "
        "corrects for all pairs on the same test texts. Two models differ if that is below 0.05 and the interval "
        "excludes 0; otherwise they are tied. *Detectable* is the difference that McNemar's test would find with 80% "
        "power on one pair of seeds at the measured disagreement, at 0.05 divided by the number of comparisons, "
        "Holm's strictest step, and by k/m. Counts are means over pairs of seeds.",
        section="differences",
    ),
    Table(
        "ties",
        "Groups of tied models",
        ties,
        (CONFIGURATION, MODEL, RECIPE, ACCURACY, SEEDS, Column("group", "Tied group")),
        note="Two models that share a letter are tied: no significant difference was found. Ties are not transitive.",
        section="accuracy",
    ),
    Table(
        "seeds",
        "Every seed that was asked for",
        seeds,
        (
            CONFIGURATION,
            MODEL,
            RECIPE,
            Column("asked", "Asked"),
            Column("completed", "Completed"),
            Column("failed", "Failed"),
            Column("interrupted", "Interrupted"),
            Column("collapsed", "One label for all"),
            Column("mean", "Mean", FOUR),
            SPREAD,
            Column("minimum", "Lowest", FOUR),
            Column("maximum", "Highest", FOUR),
        ),
        note="*One label for all* counts completed seeds that predict one label for every text, as the majority label "
        "does by design; they are part of the mean. ± is the standard deviation over seeds.",
        section="accuracy",
    ),
)
