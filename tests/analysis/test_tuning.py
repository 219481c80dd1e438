"""Trials are told by their accuracy on validation, and only trials are."""

from dataclasses import replace
from pathlib import Path

from factories import FIT, a_record, publish

from benchmark.analysis.evidence import Evidence
from benchmark.analysis.tuning import tuning
from benchmark.interface import CurvePoint
from benchmark.report.tables import leaderboard
from benchmark.report.wording import markdown
from benchmark.results.catalogue import read_contestants


def test_trials_stand_by_their_last_validation_accuracy_and_full_runs_do_not(tmp_path: Path) -> None:
    runs = []
    for rate, after in ((5e-5, (0.7, 0.5)), (2e-4, (0.3, 0.6))):
        curve = tuple(CurvePoint(step, 1.0, validation_accuracy=value) for step, value in enumerate(after))
        trial = a_record("minilm", f"recipe.learning_rate={rate}", "dataset.test_rows=1", "recipe.name=tune_cpu")
        runs.append(publish(tmp_path, replace(trial, fit=replace(FIT, curve=curve))))
    runs.append(publish(tmp_path, a_record("minilm")))  # a result
    runs.append(publish(tmp_path, a_record("minilm", "dataset.test_rows=5")))  # looked at test
    runs.append(publish(tmp_path, a_record("tfidf", "dataset.test_rows=1", fit=replace(FIT, curve=()))))  # no epochs
    random = replace(FIT, weights={"source": "random"})
    runs.append(publish(tmp_path, a_record("bert_base", "dataset.test_rows=1", fit=random)))
    table = tuning(Evidence(runs, read_contestants()))
    assert table[["recipe", "learning_rate", "validation_accuracy"]].to_numpy().tolist() == [
        ["tune_cpu", 2e-4, 0.6],
        ["tune_cpu", 5e-5, 0.5],
    ]
    assert "0.6000" in markdown(table)


def test_one_answered_test_text_is_no_accuracy(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("minilm", "dataset.test_rows=1"))
    (row,) = leaderboard(Evidence([run], read_contestants()), "emotion").to_dict("records")
    assert row["accuracy"] is None
    assert row["training_seconds"] == 90
    assert "1 test rows only" in row["status"]


def test_trials_that_differ_in_more_than_their_rate_are_told_apart_and_short_ones_left_out(tmp_path: Path) -> None:
    fit = replace(FIT, curve=(CurvePoint(1, 1.0, validation_accuracy=0.5),))
    trial = ("minilm", "recipe.learning_rate=0.5", "dataset.test_rows=1", "recipe.name=tune_cpu")
    runs = [
        publish(tmp_path, a_record(*trial, *more, fit=fit))
        for more in ([], ["recipe.batch_size=16"], ["recipe.max_steps=3"])
    ]
    table = tuning(Evidence(runs, read_contestants()))
    assert sorted(table["recipe"]) == ["tune_cpu", "tune_cpu, recipe.batch_size=16"]
