"""How good the probabilities are for decisions: calibration, and how many texts can be answered at a given error."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis.frame import Results
from benchmark.analysis.metrics import (
    brier_score,
    calibration_noise,
    coverage_at_error,
    expected_calibration_error,
    log_loss,
)
from benchmark.report import table as t
from benchmark.report.tables.errors import confidences, per_configuration

DIGITS = 6  # the last digits of a logarithm differ between processors


def decisions(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The scores of a configuration's probabilities, means over the seeds; none for free answers."""
    if not row["graded"]:
        return []
    scores = {name: np.mean([score(results, run) for run in row["counted"]]) for name, score in PROBABILITIES.items()}
    pairs = confidences(results, row)
    scores |= {name: np.mean([score(*pair) for pair in pairs]) for name, score in CONFIDENCES.items()}
    return [{"seeds": row["seeds"], **{name: round(float(score), DIGITS) for name, score in scores.items()}}]


def _brier(results: Results, run: str) -> float:
    return brier_score(results.by_name[run].gold, results.by_name[run].predictions.probabilities)


def _log_loss(results: Results, run: str) -> float:
    return log_loss(results.by_name[run].gold, results.by_name[run].predictions.probabilities)


PROBABILITIES: dict[str, Callable[[Results, str], float]] = {"brier_score": _brier, "log_loss": _log_loss}
CONFIDENCES: dict[str, Callable[..., float]] = {
    "ece_10": partial(expected_calibration_error, bins=10),
    "ece_15": expected_calibration_error,
    "ece_15_noise": lambda _, confidence: calibration_noise(confidence),
    "coverage_at_1": partial(coverage_at_error, error=0.01),
    "coverage_at_5": partial(coverage_at_error, error=0.05),
}

TABLES = (
    t.Table(
        "decisions",
        "Probabilities as a basis for decisions",
        partial(per_configuration, decisions),
        (
            *t.NAMED,
            t.SEEDS,
            t.Column("brier_score", "Brier score", t.FOUR, "0 is best, 2 is worst"),
            t.Column("log_loss", "Log loss", t.FOUR, "0 is best"),
            t.Column("ece_10", "ECE, 10 bins", t.FOUR),
            t.Column("ece_15", "ECE, 15 bins", t.FOUR),
            t.Column("ece_15_noise", "Noise floor", t.FOUR, "of the ECE with 15 bins"),
            t.Column("coverage_at_1", "Answered at 1% error", t.PERCENT),
            t.Column("coverage_at_5", "Answered at 5% error", t.PERCENT),
        ),
        note="Means over seeds. *Noise floor* is the mean ECE of a perfectly calibrated model with the same "
        "confidences on as many texts (200 simulated draws, 15 bins): an ECE near it shows no miscalibration. "
        "*Answered at 1% error* is the largest share of the texts, the most confident first, of which at most 1% are "
        "wrong; its threshold is chosen on the test texts themselves, so it is optimistic. Nothing is recalibrated: a "
        "temperature would have to be fitted on the validation split, and these runs store no validation "
        "probabilities. Free answers carry no confidence.",
        section="confidence",
    ),
)
