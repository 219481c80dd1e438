from pathlib import Path

import numpy as np
import pytest
from factories import LABELS, MANY_GOLD, a_record, publish, publish_confident, table_rows, wrong_at

from benchmark.analysis.metrics import calibration_noise, expected_calibration_error


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
