"""How accuracy grows with the number of training rows: the only place where limited runs are compared."""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.metrics import per_class
from benchmark.analysis.statistics import Interval, accuracy_interval
from benchmark.analysis.variants import Variant, mean_accuracy, right_answers, scores
from benchmark.results.record import Status
from benchmark.results.store import Run


@dataclass(frozen=True)
class Point:
    """What a model reaches with the first `rows` of the training split; one run a seed."""

    rows: int
    runs: list[Run]

    @property
    def accuracy(self) -> float:
        return mean_accuracy(self.runs)

    @property
    def interval(self) -> Interval:
        return accuracy_interval(right_answers(self.runs))

    @property
    def steps(self) -> int | None:
        """Optimiser steps of a run: the epochs stay those of the recipe, so fewer rows are also fewer steps."""
        fit = self.runs[0].record.fit
        return (fit and fit.steps) or None

    @property
    def f1(self) -> dict[str, float]:
        """Of each label, the mean over seeds."""
        labels = self.runs[0].record.labels
        by_seed = [per_class(run.gold, run.predictions.predicted, len(labels)).f1 for run in self.runs]
        return dict(zip(labels, np.mean(by_seed, axis=0).tolist(), strict=True))


@dataclass(frozen=True)
class Curve:
    """One model and recipe at two sizes of the training split or more, the smallest first."""

    title: str
    recipe: str
    points: list[Point]

    @property
    def name(self) -> str:
        return f"{self.title}, {self.recipe}"


def curves(evidence: Evidence) -> list[Curve]:
    """Completed, pretrained runs that differ in nothing but seed and training rows, by name."""
    groups: dict[str, dict[int, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))  # by rows, by seed
    for run in evidence.runs:
        record = run.record
        allowed = record.limits.keys() <= {"training rows"} and record.pretrained and record.data is not None
        if record.dataset == study.DATASET and record.status is Status.completed and allowed:
            assert record.data is not None
            rows = int(record.data["splits"]["train"]["rows"])
            at = groups[_asked(run)][rows]
            if record.seed not in at or not record.limits:  # all rows asked for by number are still all rows
                at[record.seed] = run
    found = [_curve(by_rows) for by_rows in groups.values() if len(by_rows) > 1]
    return sorted(found, key=lambda curve: curve.name)


def learning_curve(evidence: Evidence) -> pd.DataFrame:
    """Accuracy, macro-F1 and the F1 of each label by number of training rows; means over seeds."""
    rows = [_row(curve, point) for curve in curves(evidence) for point in curve.points]
    columns = ["accuracy", "spread", "low", "high", "macro_f1", *(f"f1_{label}" for label in study.LABELS)]
    return pd.DataFrame(rows, columns=["model", "recipe", "train_rows", "steps", "seeds", *columns], dtype=object)


def _row(curve: Curve, point: Point) -> dict[str, Any]:
    return {
        "model": curve.title,
        "recipe": curve.recipe,
        "train_rows": point.rows,
        "steps": point.steps,
        "seeds": len(point.runs),
        **scores(point.runs),
        **{f"f1_{label}": score for label, score in point.f1.items()},
    }


def _asked(run: Run) -> str:
    """All that was asked for but seed and training rows, and the test texts it was asked of."""
    identity = run.record.identity
    data = {key: value for key, value in identity["dataset"].items() if key != "train_rows"}
    test = run.record.splits.get("test", {}).get("sha256")
    return json.dumps([identity["model"], data, identity["recipe"], test], sort_keys=True)


def _curve(by_rows: dict[int, dict[int, Run]]) -> Curve:
    points = [Point(rows, [by_rows[rows][seed] for seed in sorted(by_rows[rows])]) for rows in sorted(by_rows)]
    variant = Variant(points[-1].runs)
    recipe = [part for part in variant.recipe.split(", ") if not part.startswith("dataset.train_rows=")]
    return Curve(variant.first.title, ", ".join(recipe), points)
