"""What was tried on the validation split alone: the trials behind the settings of `recipe=tuned`."""

from typing import Any

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.variants import settings_of, shortened
from benchmark.results.record import RunRecord, Status

COLUMNS = ["model", "recipe", "learning_rate", "epochs", "train_rows", "seed", "validation_accuracy"]


def tuning(evidence: Evidence) -> pd.DataFrame:
    """Runs that answered one test text only, each model's best first.

    The accuracy is that on the whole validation split after the last epoch, as the run's curve holds it.
    """
    rows = [_row(run.record) for run in evidence.runs if _is_trial(run.record)]
    rows.sort(key=lambda row: (row["model"], row["recipe"], -row["validation_accuracy"]))
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)


def _is_trial(record: RunRecord) -> bool:
    ended = record.status is Status.completed and record.pretrained
    untested = record.config["dataset"]["test_rows"] == 1
    whole = "steps" not in record.limits
    return ended and untested and whole and record.dataset == study.DATASET and bool(_accuracies(record))


def _accuracies(record: RunRecord) -> list[float]:
    """After each epoch, in order."""
    curve = record.fit.curve if record.fit is not None else ()
    return [point.validation_accuracy for point in curve if point.validation_accuracy is not None]


def _settings(record: RunRecord) -> list[str]:
    """Those without a column of their own."""
    columns = ("recipe.learning_rate=", "recipe.epochs=", "dataset.train_rows=", "dataset.test_rows=")
    return [setting for setting in settings_of(record) if not setting.lstrip("+").startswith(columns)]


def _row(record: RunRecord) -> dict[str, Any]:
    recipe = record.config["recipe"]
    return {
        "model": record.title,
        "recipe": ", ".join([record.recipe, *shortened(_settings(record))]),
        "learning_rate": recipe["learning_rate"],
        "epochs": recipe["epochs"],
        "train_rows": record.config["dataset"]["train_rows"] or "all",
        "seed": record.seed,
        "validation_accuracy": _accuracies(record)[-1],
    }
