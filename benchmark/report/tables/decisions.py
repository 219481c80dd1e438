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
    confidence_of,
    coverage_at_error,
    expected_calibration_error,
    fit_temperature,
    least_cost,
    log_loss,
    mean_cost,
    with_temperature,
)
from benchmark.interface import Probabilities
from benchmark.report.table import FOUR_DECIMALS, IDENTITY, PERCENT, SEEDS, Column, Table
from benchmark.report.tables.mistakes import confidences, per_configuration
from benchmark.results.store import Run

DIGITS = 6  # the last digits of a logarithm differ between processors


def decisions(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The scores of a configuration's probabilities, means over the seeds; none for free answers."""
    if not row["has_confidences"]:
        return []
    runs = [results.runs_by_name[run] for run in row["counted"]]
    scores = {
        name: np.mean([score(run.gold, run.predictions.probabilities) for run in runs])
        for name, score in PROBABILITY_SCORES.items()
    }
    pairs = confidences(results, row)
    scores |= {name: np.mean([score(*pair) for pair in pairs]) for name, score in CONFIDENCE_SCORES.items()}
    return [{"seeds": row["seeds"], **{name: round(float(score), DIGITS) for name, score in scores.items()}}]


def temperature(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The scores of the test probabilities before and after a temperature, means over the seeds that have one."""
    runs = [results.runs_by_name[run] for run in row["counted"] if row["has_confidences"]]
    runs = [run for run in runs if run.validation is not None]
    if not runs:
        return []
    scores: list[dict[str, float]] = []
    for run in runs:
        fitted, after = _calibrate(run)
        correct = run.gold == run.predictions.predicted
        of_run: dict[str, float] = {"temperature": fitted}
        for when, probabilities in (("", run.predictions.probabilities), ("_after", after)):
            confidence = confidence_of(run.predictions.predicted, probabilities)
            of_run[f"log_loss{when}"] = log_loss(run.gold, probabilities)
            of_run[f"brier_score{when}"] = brier_score(run.gold, probabilities)
            of_run[f"ece_15{when}"] = expected_calibration_error(correct, confidence)
        scores.append(of_run)
    means = {name: round(float(np.mean([score[name] for score in scores])), DIGITS) for name in scores[0]}
    return [{"seeds": len(runs), **means}]


def error_cost_rows(results: Results, row: pd.Series) -> list[dict[str, Any]]:
    """The mean cost of the predictions, and of decisions for the least expected cost, means over the seeds."""
    labels, written = list(results.labels(row["run"])), results.error_costs
    if written is None or set(written.index) != set(labels) or not row["has_confidences"]:
        return []
    costs = written.loc[labels, labels].to_numpy()
    runs = [results.runs_by_name[run] for run in row["counted"]]
    decided = [least_cost(_calibrate(run)[1], costs) for run in runs]
    of_predictions = [mean_cost(run.gold, run.predictions.predicted, costs) for run in runs]
    of_decisions = [mean_cost(run.gold, ids, costs) for run, ids in zip(runs, decided, strict=True)]
    changed = [(run.predictions.predicted != ids).mean() for run, ids in zip(runs, decided, strict=True)]
    means = {"cost": of_predictions, "least_cost": of_decisions, "changed": changed}
    calibrated = sum(run.validation is not None for run in runs)
    figures = {name: round(float(np.mean(values)), DIGITS) for name, values in means.items()}
    return [{"seeds": row["seeds"], "calibrated": f"{calibrated} of {len(runs)}", **figures}]


def _calibrate(run: Run) -> tuple[float, Probabilities]:
    """The temperature fitted on the validation split, else 1, and the test probabilities with this temperature."""
    if run.validation is None:
        return 1.0, run.predictions.probabilities
    gold, predictions = run.validation
    fitted = fit_temperature(gold, predictions.probabilities)
    return fitted, with_temperature(run.predictions.probabilities, fitted)


PROBABILITY_SCORES = {"brier_score": brier_score, "log_loss": log_loss}
CONFIDENCE_SCORES: dict[str, Callable[..., float]] = {
    "ece_10": partial(expected_calibration_error, bins=10),
    "ece_15": expected_calibration_error,
    "ece_15_noise": lambda _, confidence: calibration_noise(confidence),
    "coverage_at_1": partial(coverage_at_error, error=0.01),
    "coverage_at_5": partial(coverage_at_error, error=0.05),
}

TABLES = (
    Table(
        "decisions",
        "Probabilities as a basis for decisions",
        partial(per_configuration, decisions),
        (
            *IDENTITY,
            SEEDS,
            Column("brier_score", "Brier score", FOUR_DECIMALS, "0 is best, 2 is worst"),
            Column("log_loss", "Log loss", FOUR_DECIMALS, "0 is best"),
            Column("ece_10", "ECE, 10 bins", FOUR_DECIMALS),
            Column("ece_15", "ECE, 15 bins", FOUR_DECIMALS),
            Column("ece_15_noise", "Noise floor", FOUR_DECIMALS, "of the ECE with 15 bins"),
            Column("coverage_at_1", "Labelled at 1% error", PERCENT),
            Column("coverage_at_5", "Labelled at 5% error", PERCENT),
        ),
        note="Means over seeds. *Noise floor* is the mean ECE of a perfectly calibrated model with the same "
        "confidences on as many texts (200 simulated draws, 15 bins): an ECE near it shows no miscalibration. "
        "*Labelled at 1% error* is the largest share of the texts, the most confident first, of which at most 1% are "
        "wrong; its threshold is chosen on the test texts themselves, so it is optimistic. Nothing is recalibrated "
        "here; for runs that store validation probabilities, the table of temperatures does so. Free generation "
        "gives no confidence.",
        section="confidence",
    ),
)

IF_MEASURED = (
    Table(
        "temperature",
        "Probabilities with a temperature that was fitted on the validation split",
        partial(per_configuration, temperature),
        (
            *IDENTITY,
            SEEDS,
            Column("temperature", "Temperature", FOUR_DECIMALS, "above 1: the model is too confident"),
            Column("log_loss", "Log loss", FOUR_DECIMALS),
            Column("log_loss_after", "Log loss with temperature", FOUR_DECIMALS),
            Column("brier_score", "Brier score", FOUR_DECIMALS),
            Column("brier_score_after", "Brier score with temperature", FOUR_DECIMALS),
            Column("ece_15", "ECE, 15 bins", FOUR_DECIMALS),
            Column("ece_15_after", "ECE with temperature", FOUR_DECIMALS),
        ),
        note="The logits are divided by the temperature with the least log loss on the validation split, one for each "
        "seed. The scores are those of the test split, means over the seeds that store validation probabilities; "
        "where that is seed 0 only, they differ from the means over all seeds in the table of decisions. The "
        "predictions, and so the accuracy, stay the same.",
        section="confidence",
    ),
    Table(
        "utility",
        "Mean cost of errors",
        partial(per_configuration, error_cost_rows),
        (
            *IDENTITY,
            SEEDS,
            Column("cost", "Cost of the predictions", FOUR_DECIMALS),
            Column("least_cost", "Cost of the decisions", FOUR_DECIMALS),
            Column("changed", "Texts decided otherwise", PERCENT),
            Column("calibrated", "Seeds with a temperature"),
        ),
        note="Mean cost of a test text by `error_costs.csv` in the folder of results. A prediction that is no label "
        "has the highest cost of its gold label. *Decisions* label each text with the label of the least expected cost "
        "by the probabilities, with the temperature where one was fitted. Everywhere else, accuracy is that of the "
        "predictions.",
        section="confidence",
    ),
)
