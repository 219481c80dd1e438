"""Where models err: by label, by pair of labels, on parts of the test set, by confidence, and text by text."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis import comparisons
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import mean_accuracy, mean_class_scores, with_results
from benchmark.analysis.frame import Results, label_names
from benchmark.analysis.inference import accuracy_interval
from benchmark.analysis.metrics import Correct, accuracy_at_coverage, confusion_matrix
from benchmark.interface import Probabilities
from benchmark.report.formats import count
from benchmark.report.table import ACCURACY, FOUR_DECIMALS, IDENTITY, INTERVAL, PERCENT, SEEDS, Column, Table, declared

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
MOST_CONFUSED = 5  # pairs of labels shown per configuration
FEWEST_MODELS = 3  # whose common errors are shown


def per_configuration(
    rows_of: Callable[[Results, pd.Series], list[dict[str, Any]]], analysis: AnalysedResults
) -> pd.DataFrame:
    """The rows that `rows_of` makes of each configuration with results, under its id, model and recipe."""
    rows = []
    for _, row in with_results(analysis.configurations).iterrows():
        named = {"configuration": row["configuration"], "model": row["title"], "recipe": row["recipe"]}
        rows += [named | made for made in rows_of(analysis.results, row)]
    return pd.DataFrame(rows, dtype=object)


def per_class(results: Results, row: pd.Series) -> list[dict[Any, Any]]:
    """The precision, recall and F1 of each label, means over the seeds."""
    scores = mean_class_scores(results, row["counted"]).rename(columns={"precision": "precision_score"})
    return scores.astype({"support": int}).rename_axis("label").reset_index().astype(object).to_dict("records")


def confused_pairs(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The pairs of gold and predicted label that are confused most; counts are means over seeds."""
    names = label_names(results.labels(row["run"]))
    answers = zip(results.gold(row["counted"]), results.predicted(row["counted"]), strict=True)
    counts = np.mean([confusion_matrix(gold, predicted, len(names) - 1) for gold, predicted in answers], axis=0)
    support = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MOST_CONFUSED]
    places = zip(*np.unravel_index(order, counts.shape), strict=True)
    pairs = [(names[gold], names[answer], float(counts[gold, answer]), support[gold]) for gold, answer in places]
    return [
        {"gold": gold, "predicted": answer, "texts": texts, "share": float(texts / total)}
        for gold, answer, texts, total in pairs
        if texts
    ]


def accuracy_by_subset(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The accuracy on the official test split, and without the texts that the training split has too."""
    overlap = results.runs_by_name[row["run"]].record.overlap("test", "train")
    twice, conflicting = set(overlap.ids), set(overlap.conflicting_ids)
    if twice == conflicting:
        parts = {f"without {len(twice)} texts that occur in train, all with another label": twice} if twice else {}
    else:
        parts = {"without texts that occur in train": twice, "without conflicting duplicates": conflicting}
    left_out: dict[str, set[str]] = {"official": set(), **parts}
    items, correct = results.answers_of(row["run"])["item"], results.correct(row["counted"])
    rows = []
    for view, without in left_out.items():
        kept = correct[:, ~items.isin(without).to_numpy()]
        if kept.size:
            scores = {"accuracy": mean_accuracy(kept), **vars(accuracy_interval(kept))}
            rows.append({"view": view, "rows": kept.shape[1], **scores, "seeds": row["seeds"]})
    return rows


def selective(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The accuracy where only the most confident share of the texts counts.

    Means over seeds; missing where predictions carry no confidence.
    """
    of_share = {
        share: coverage_accuracy(results, row, share) if row["has_confidences"] else None for share in COVERAGES[1:]
    }
    shares = {_coverage_column(share): accuracy for share, accuracy in {1.0: row["accuracy"], **of_share}.items()}
    return [{"seeds": row["seeds"], **shares}]


def confidences(results: Results, row: pd.Series) -> list[tuple[Correct, Probabilities]]:
    """Whether each prediction is correct and how confident it is, for each seed."""
    return [
        (answers["correct"].to_numpy(), answers["confidence"].to_numpy())
        for answers in map(results.answers_of, row["counted"])
    ]


def coverage_accuracy(results: Results, row: pd.Series, share: float) -> float:
    """A configuration's accuracy on its most confident `share` of the texts, the mean over seeds."""
    if share == 1:
        return float(row["accuracy"])
    return float(np.mean([accuracy_at_coverage(*seed, share) for seed in confidences(results, row)]))


def _coverage_column(share: float) -> str:
    return f"coverage_{round(100 * share)}"


def hard_items(analysis: AnalysedResults) -> pd.DataFrame:
    """The test texts that every seed of every configuration gets wrong, with the most frequent prediction.

    The texts with the most agreement come first. Runs that predict one label for everything are left out. With fewer
    than `FEWEST_MODELS` other models there are no rows: errors of two models say little about a text.
    """
    results, rows = analysis.results, []
    collapsed = set(results.runs.loc[results.runs["collapsed"].astype(bool), "run"])
    for comparable in comparisons.by_test_texts(analysis.configurations):
        kept = [[run for run in runs if run not in collapsed] for runs in comparable["counted"]]
        runs = [run for group in kept for run in group]
        if comparable["model"][[bool(group) for group in kept]].nunique() < FEWEST_MODELS:
            continue
        predicted = results.predicted(runs)
        answers = results.answers_of(runs[0])
        gold, items = answers["gold"].to_numpy(), answers["item"].to_numpy()
        names = label_names(results.labels(runs[0]))
        rows += [
            {"id": items[item], "gold": names[gold[item]], **_majority(predicted[:, item], names)}
            for item in np.flatnonzero((predicted != gold).all(axis=0))
        ]
    rows.sort(key=lambda row: -row["agreement"])
    return pd.DataFrame(rows, dtype=object)


def _majority(answers: npt.NDArray[np.int64], names: list[str]) -> dict[str, Any]:
    (answer, given), *_ = Counter(answers.tolist()).most_common(1)
    return {"predicted": names[answer], "agreement": given / len(answers), "runs": len(answers)}


LABEL = declared("label", "Label")
GOLD = declared("gold", "Gold")
PREDICTED = Column("predicted", "Predicted")

TABLES = (
    Table(
        "per_class",
        "Precision, recall and F1 by label, mean over seeds",
        partial(per_configuration, per_class),
        (
            *IDENTITY,
            LABEL,
            Column("precision_score", "Precision", FOUR_DECIMALS),
            Column("recall", "Recall", FOUR_DECIMALS),
            Column("f1", "F1", FOUR_DECIMALS),
            Column("support", "Support"),
        ),
        section="errors",
    ),
    Table(
        "confused_pairs",
        "The most confused pairs of labels, mean over seeds",
        partial(per_configuration, confused_pairs),
        (
            *IDENTITY,
            GOLD,
            PREDICTED,
            Column("texts", "Texts", count),
            Column("share", "Of gold", PERCENT),
        ),
        note="Texts are means over seeds.",
        section="errors",
    ),
    Table(
        "test_views",
        "Accuracy on parts of the test set",
        partial(per_configuration, accuracy_by_subset),
        (*IDENTITY, Column("view", "Test texts"), Column("rows", "Rows"), ACCURACY, INTERVAL, SEEDS),
        section="errors",
    ),
    Table(
        "selective",
        "Accuracy on the most confident texts",
        partial(per_configuration, selective),
        (
            *IDENTITY,
            SEEDS,
            Column(_coverage_column(1.0), "All texts", FOUR_DECIMALS),
            Column(_coverage_column(0.9), "Most confident 90%", FOUR_DECIMALS),
            *(Column(_coverage_column(share), f"{share:.0%}", FOUR_DECIMALS) for share in COVERAGES[2:]),
        ),
        note="Accuracy on the most confident share of the texts, the mean over seeds. Free generation gives no "
        "confidence.",
        section="confidence",
    ),
    Table(
        "hard_items",
        "Test texts that every model gets wrong",
        hard_items,
        (
            Column("id", "Id"),
            GOLD,
            PREDICTED,
            Column("agreement", "Agreement", PERCENT),
            Column("runs", "Runs"),
        ),
        note="Wrong for every seed of every model, except runs that predict one label for all: candidates for label "
        f"noise. Shown where at least {FEWEST_MODELS} models remain. *Predicted* is the most frequent prediction, "
        "*agreement* its share of the runs.",
        section="errors",
    ),
)
