"""How many gold labels of the test split may be wrong. No text is shown."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis import comparisons
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.costs import significant_leads
from benchmark.analysis.inference import wilson_interval
from benchmark.interface import NO_LABEL
from benchmark.report.table import FOUR_DECIMALS, PERCENT, Column, Table

Items = npt.NDArray[np.bool_]
STRONG = "strong"
"""The criterion that the findings use."""
CRITERIA = {
    "all_runs_agree": "every run of every good model gives the same other label",
    "most_runs_agree": "more than half of these runs give the same other label",
    "two_labels": "the text is in the training split with another label",
    STRONG: "labels that may be wrong: every run agrees on another label, or the training split has another label",
    "weak": "by the weaker criterion: most runs agree on another label, or the training split has another label",
}
"""Reasons to doubt the label of a text, by key."""


def label_noise(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per reason to doubt a label: the number of test texts and its interval for as many texts of this kind.

    The good models are the best model and the models tied with it. At least two must remain without runs that predict
    one label for everything.
    """
    all_comparable = comparisons.by_test_texts(analysis.configurations)
    good = _good(all_comparable[0], analysis) if all_comparable else []
    if len(good) < 2:
        return pd.DataFrame()
    results, runs = analysis.results, [run for counted in good for run in counted]
    agreement = _agreement_on_another_label(results.predicted(runs), results.gold(runs[:1])[0])
    duplicates = _conflicting_duplicates(analysis, runs[0])
    doubtful: dict[str, Items] = {
        "all_runs_agree": agreement == 1,
        "most_runs_agree": agreement > 0.5,
        "two_labels": duplicates,
        STRONG: (agreement == 1) | duplicates,
        "weak": (agreement > 0.5) | duplicates,
    }
    return pd.DataFrame([_row(criterion, items, len(runs)) for criterion, items in doubtful.items()], dtype=object)


def _good(comparable: pd.DataFrame, analysis: AnalysedResults) -> list[list[str]]:
    """The counted runs of the best configuration and of each configuration tied with it."""
    leads, best = significant_leads(analysis.comparisons), comparable["configuration"].iloc[0]
    tied = [(best, configuration) not in leads for configuration in comparable["configuration"]]
    return [row["counted"] for _, row in comparable[tied].iterrows() if row["collapsed"] == 0]


def _agreement_on_another_label(predicted: npt.NDArray[np.int64], gold: npt.NDArray[np.int64]) -> Any:
    """The share of runs that give the most frequent label other than the gold one, (items,)."""
    labels = np.arange(max(predicted.max(), gold.max()) + 1)
    shares = (predicted[:, :, None] == labels).mean(axis=0)  # (items, labels); NO_LABEL is none of them
    assert NO_LABEL < 0
    shares[np.arange(len(gold)), gold] = 0
    return shares.max(axis=1)


def _conflicting_duplicates(analysis: AnalysedResults, run: str) -> Items:
    ids = analysis.results.runs_by_name[run].record.overlap("test", "train").conflicting_ids
    return np.asarray(analysis.results.answers_of(run)["item"].isin(ids), dtype=np.bool_)


def _row(criterion: str, items: Items, runs: int) -> dict[str, Any]:
    texts, total = int(items.sum()), len(items)
    interval = wilson_interval(texts, total)
    ends = {"fewest": round(interval.low * total), "most": round(interval.high * total)}
    interval_text = f"{ends['fewest']:,} to {ends['most']:,}"
    row = {
        "criterion": criterion,
        "reason": CRITERIA[criterion],
        "texts": texts,
        "share": texts / total,
        **ends,
        "interval": interval_text,
    }
    return row | {"best_accuracy": 1 - texts / total, "runs": runs}


TABLES = (
    Table(
        "label_noise",
        "How many test labels may be wrong",
        label_noise,
        (
            Column("criterion"),
            Column("reason", "Test texts"),
            Column("texts", "Texts"),
            Column("fewest"),
            Column("most"),
            Column("interval", "95% interval"),
            Column("share", "Share", PERCENT),
            Column(
                "best_accuracy",
                "Best accuracy if they are wrong",
                FOUR_DECIMALS,
                "of a model that predicts every other label right and the right label of these texts",
            ),
            Column("runs", "Runs"),
        ),
        note="This assumes that a text on which the good models (the best and those not significantly less "
        "accurate) agree against its "
        "label, or which also has another label, is mislabelled, and that every other label is right: a mistake that "
        "the models share makes the number too high, and a wrong label that they learnt to repeat makes it too low. A "
        "mistake that most models share counts where *more than half* or *most runs* agree, so these numbers are "
        "probably too high, and a model can exceed their accuracy. A "
        "text with another label in the training split does not say which of the two labels is wrong. "
        "The interval is Wilson's and covers the choice of test texts only.",
        section="errors",
    ),
)
