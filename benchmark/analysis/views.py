"""Other looks at the same predictions: parts of the test set, sure answers only, and where the errors lie."""

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis.comparisons import fields
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.metrics import METRICS, Metric, accuracy_at_coverage, confusion_matrix
from benchmark.analysis.significance import collapsed
from benchmark.analysis.statistics import accuracy_interval
from benchmark.analysis.variants import Variant, with_results
from benchmark.results.store import Run

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
MOST_CONFUSED = 5  # pairs of labels shown for each variant


def test_views(evidence: Evidence) -> pd.DataFrame:
    """Accuracy on the official test split, and on what is left of it without texts that the training split has too."""
    rows = [
        {
            "model": variant.first.title,
            "recipe": variant.recipe,
            "view": view,
            "rows": int(kept.sum()),
            "accuracy": float(variant.correct[:, kept].mean()),
            "low": (interval := accuracy_interval(variant.correct[:, kept])).low,
            "high": interval.high,
            "seeds": len(variant.results),
        }
        for variant in with_results(evidence)
        for view, kept in _views(variant.results[0]).items()
    ]
    columns = ["model", "recipe", "view", "rows", "accuracy", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _views(run: Run) -> dict[str, npt.NDArray[np.bool_]]:
    """The rows of each view, (rows,)."""
    overlaps = (run.record.data or {}).get("overlaps", [])
    in_train = [found for found in overlaps if (found["of"], found["within"]) == ("test", "train")]
    excluded = {
        "official": set(),
        "without texts that occur in train": {row for found in in_train for row in found["ids"]},
        "without conflicting duplicates": {row for found in in_train for row in found["conflicting_ids"]},
    }
    kept = {view: np.array([row not in without for row in run.ids]) for view, without in excluded.items()}
    return {view: rows for view, rows in kept.items() if rows.any()}


def selective(evidence: Evidence) -> pd.DataFrame:
    """Calibration error, and accuracy where only the surest share of the texts is answered; means over seeds.

    Empty where answers say nothing of how sure they are.
    """
    rows = [
        {
            "model": variant.first.title,
            "recipe": variant.recipe,
            "seeds": len(variant.results),
            **_confidence(variant),
        }
        for variant in with_results(evidence)
    ]
    columns = ["model", "recipe", "seeds", "expected_calibration_error", *(_column(share) for share in COVERAGES)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _confidence(variant: Variant) -> dict[str, float | None]:
    graded = is_graded(variant)
    error = _mean(variant, METRICS["expected_calibration_error"]) if graded else None
    shares = [share for share in COVERAGES if graded or share == 1]
    return {"expected_calibration_error": error} | {_column(s): coverage_accuracy(variant, s) for s in shares}


def is_graded(variant: Variant) -> bool:
    """Whether the answers of every seed say how sure they are."""
    return all(run.predictions.graded for run in variant.results)


def coverage_accuracy(variant: Variant, share: float) -> float:
    """Accuracy on the surest `share` of the texts, the mean over seeds; on all of them, the one of other tables."""
    return variant.accuracy if share == 1 else _mean(variant, partial(accuracy_at_coverage, coverage=share))


def _column(share: float) -> str:
    return f"coverage_{round(100 * share)}"


def confused_pairs(evidence: Evidence) -> pd.DataFrame:
    """The pairs of gold and predicted label that each variant confuses most; counts are means over seeds."""
    rows = [row for variant in with_results(evidence) for row in _confused(variant)]
    columns = ["model", "recipe", "gold", "predicted", "texts", "share"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _confused(variant: Variant) -> list[dict[str, Any]]:
    labels = [*variant.first.labels, "no label"]
    counts = np.mean(
        [confusion_matrix(run.gold, run.predictions.predicted, len(labels) - 1) for run in variant.results], axis=0
    )
    support = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MOST_CONFUSED]
    places = [tuple(int(index) for index in np.unravel_index(place, counts.shape)) for place in order]
    return [
        {
            "model": variant.first.title,
            "recipe": variant.recipe,
            "gold": labels[gold],
            "predicted": labels[predicted],
            "texts": float(counts[gold, predicted]),
            "share": float(counts[gold, predicted] / support[gold]),
        }
        for gold, predicted in places
        if counts[gold, predicted]
    ]


def hard_items(evidence: Evidence) -> pd.DataFrame:
    """The test ids that every seed of every variant gets wrong, with the answer most of them give.

    Candidates for label noise, those with the most agreement first. A run that gives one answer to everything
    has no say; with fewer than two variants left there is no `every`.
    """
    rows = []
    for field in fields(evidence):
        told = [[run for run in variant.results if not collapsed(run)] for variant in field.variants]
        runs = [run for variant in told for run in variant]
        if sum(bool(variant) for variant in told) >= 2:
            answers = np.stack([run.predictions.predicted for run in runs])  # (runs, items)
            wrong = np.flatnonzero((answers != runs[0].gold).all(axis=0))
            rows += [_hard(runs, int(item), answers[:, item]) for item in wrong]
    rows.sort(key=lambda row: -row["agreement"])
    columns = ["id", "gold", "predicted", "agreement", "runs"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _hard(runs: list[Run], item: int, answers: npt.NDArray[np.int64]) -> dict[str, Any]:
    labels = [*runs[0].record.labels, "no label"]
    (answer, given), *_ = Counter(answers.tolist()).most_common(1)
    return {
        "id": runs[0].ids[item],
        "gold": labels[int(runs[0].gold[item])],
        "predicted": labels[answer],
        "agreement": given / len(runs),
        "runs": len(runs),
    }


def _mean(variant: Variant, metric: Metric) -> float:
    return float(
        np.mean([metric(run.gold, run.predictions.predicted, run.predictions.probabilities) for run in variant.results])
    )
