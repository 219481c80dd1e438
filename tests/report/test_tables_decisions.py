from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from factories import (
    LABELS,
    MANY_GOLD,
    a_record,
    analysis_of,
    examples,
    publish,
    publish_confident,
    rows_of,
    table_rows,
    wrong_at,
)

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.metrics import calibration_noise, expected_calibration_error
from benchmark.interface import NO_LABEL, Predictions
from benchmark.report.tables import all_tables
from benchmark.report.tables.decisions import IF_MEASURED
from benchmark.results import store
from benchmark.results.record import RunRecord, sha256
from benchmark.results.store import Run

TEMPERATURE, UTILITY = IF_MEASURED


def test_scores_of_probabilities_are_means_over_seeds(tmp_path: Path) -> None:
    confidence = np.linspace(0.99, 0.5, 200).tolist()  # falling: errors are at the end
    ends = (150, 190)
    runs = [
        publish_confident(tmp_path, a_record(seed=seed), wrong_at(range(end, 200)), confidence)
        for seed, end in enumerate(ends)
    ]
    (row,) = table_rows("decisions", *runs)
    assert row["seeds"] == 2
    assert row["coverage_at_1"] == pytest.approx((151 + 191) / 400)  # one error in 151 or 191 texts
    assert row["coverage_at_5"] == pytest.approx((157 + 200) / 400)  # 7 errors in 157, 10 in 200
    as_stored = np.float32(confidence)
    errors = [expected_calibration_error(np.arange(200) < end, as_stored, bins=10) for end in ends]
    assert row["ece_10"] == pytest.approx(np.mean(errors), abs=1e-6)
    assert row["ece_15_noise"] == pytest.approx(calibration_noise(as_stored), abs=1e-6)
    of_gold = np.stack(
        [np.where(np.arange(200) < end, confidence, (1 - as_stored) / (len(LABELS) - 1)) for end in ends]
    )
    assert row["log_loss"] == pytest.approx(-np.log(of_gold).mean(), abs=1e-5)


def test_free_answers_are_left_out(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("external"), wrong_at(range(20)), ["word"] * 200, MANY_GOLD)
    assert table_rows("decisions", run) == []


def publish_calibrated(folder: Path, record: RunRecord, seed: int, validation: bool = True) -> Run:
    """Write a run that is right on 80% of MANY_GOLD and of a validation split, always with a confidence of 0.98."""
    wrong = wrong_at(range(seed, 200, 5))
    split = confident(wrong)
    content = store.encode_predictions(examples(MANY_GOLD), split, LABELS)
    sha = sha256(content) if validation else None
    record = replace(record, predicted_rows=200, validation_sha256=sha)
    return store.write(folder, record, content, validation=content if validation else None)


def confident(predicted: Sequence[int]) -> Predictions:
    probabilities = np.full((200, 6), 0.02 / 5, dtype=np.float32)
    probabilities[np.arange(200), predicted] = 0.98
    return Predictions(probabilities, np.array(predicted))


def test_a_temperature_is_fitted_on_validation_and_changes_no_accuracy(tmp_path: Path) -> None:
    runs = [publish_calibrated(tmp_path, a_record(seed=seed), seed, validation=seed < 2) for seed in (0, 1, 2)]
    [row] = rows_of(TEMPERATURE.data(analysis_of(*runs)))
    assert row["seeds"] == 2
    # A confidence of 0.98 becomes the accuracy of 0.8: log(0.98 / 0.004) / T = log(0.8 / 0.04).
    assert row["temperature"] == pytest.approx(np.log(245) / np.log(20), abs=0.002)
    assert row["ece_15"] == pytest.approx(0.18, abs=1e-5)
    assert row["ece_15_after"] == pytest.approx(0, abs=1e-3)
    assert row["log_loss_after"] == pytest.approx(-0.8 * np.log(0.8) - 0.2 * np.log(0.04), abs=1e-4)
    assert row["brier_score_after"] < row["brier_score"]
    [decision] = table_rows("decisions", *runs)
    assert decision["ece_15"] == row["ece_15"]  # nothing else is recalibrated


def test_without_validation_probabilities_or_costs_there_are_no_such_tables(tmp_path: Path) -> None:
    run = publish_calibrated(tmp_path, a_record(), 0, validation=False)
    assert {"temperature", "utility"}.isdisjoint(table.name for table in all_tables(analysis_of(run)))


def with_costs(costs: npt.NDArray[np.float64], *runs: Run, labels: tuple[str, ...] = LABELS) -> AnalysedResults:
    return AnalysedResults(replace(analysis_of(*runs).results, error_costs=pd.DataFrame(costs, [*labels], [*labels])))


def test_decisions_have_the_least_expected_cost(tmp_path: Path) -> None:
    runs = [publish_calibrated(tmp_path, a_record(seed=seed), seed, validation=seed == 0) for seed in (0, 1)]
    equal = 1 - np.eye(6)
    [row] = rows_of(UTILITY.data(with_costs(equal, *runs)))
    assert (row["cost"], row["least_cost"], row["changed"], row["calibrated"]) == (0.2, 0.2, 0, "1 of 2")
    dear = equal.copy()
    dear[0] = [0, 50, 50, 50, 50, 50]  # a missed sadness costs 50
    [row] = rows_of(UTILITY.data(with_costs(dear, *runs)))
    # With the temperature every label has at least 0.04: each expected cost but that of sadness is above 1.
    assert row["changed"] == pytest.approx(np.mean([np.mean(np.array(wrong_at(range(0, 200, 5))) != 0), 0]))
    gold = np.array(MANY_GOLD)
    missed = np.mean(np.where(np.arange(200) % 5 == 1, np.where(gold == 0, 50, 1), 0))
    assert row["least_cost"] == pytest.approx(np.mean([np.mean(gold != 0), missed]), abs=1e-6)
    assert row["cost"] > row["least_cost"]


def test_an_answer_that_is_no_label_costs_more_than_one_that_is(tmp_path: Path) -> None:
    gold = np.array(MANY_GOLD)
    content = store.encode_predictions(
        examples(MANY_GOLD), replace(confident(MANY_GOLD), predicted=np.where(gold == 0, NO_LABEL, gold)), LABELS
    )
    run = store.write(tmp_path, replace(a_record("external"), predicted_rows=200), content)
    costs = 1 - np.eye(6)
    costs[0] = [0, 1, 50, 1, 1, 1]
    [row] = rows_of(UTILITY.data(with_costs(costs, run)))
    assert row["cost"] == pytest.approx(50 * np.mean(gold == 0))
    assert row["least_cost"] == 0


def test_costs_of_other_labels_are_not_used(tmp_path: Path) -> None:
    run = publish_calibrated(tmp_path, a_record(), 0)
    assert UTILITY.data(with_costs(np.zeros((2, 2)), run, labels=("good", "bad"))).empty
