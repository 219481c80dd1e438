from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import FIT, RANDOM_FIT, a_record, analysis, publish, publish_many, publish_with_costs, wrong_at

from benchmark.analysis.configurations import (
    COSTS,
    configurations,
    failure,
    mean_accuracy,
    repeats_study,
    scores,
    with_results,
)
from benchmark.analysis.costs import dominated_by, frontier
from benchmark.analysis.frame import results_of
from benchmark.analysis.inference import accuracy_interval
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run

FAILED = {"status": Status.failed, "failure": Failure("There is no CUDA GPU.", fix="Set model.device=cpu.")}


def one_row(*runs: Run) -> pd.Series:
    table = configurations(results_of(list(runs)))
    assert len(table) == 1
    return table.iloc[0]


def test_no_runs_are_an_empty_table_with_the_same_columns(tmp_path: Path) -> None:
    empty = configurations(results_of([]))
    filled = configurations(results_of([publish(tmp_path, a_record())]))
    assert len(empty) == 0
    assert set(empty.columns) == set(filled.columns)


def test_a_row_has_its_runs_and_the_scores_of_those_that_count(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(10 + seed))) for seed in (0, 1)]
    broken = publish(tmp_path, a_record("minilm", seed=2, **FAILED))
    row = one_row(*runs, broken)
    assert row["runs"] == [run.name for run in (*runs, broken)]
    assert row["counted"] == [run.name for run in runs]
    assert (row["seeds"], row["result"], row["collapsed"], row["run"]) == (2, True, 0, runs[0].name)
    assert row["accuracy"] == (190 + 189) / 400
    assert row["status"] == "measured; 1 of 3 runs failed"


def test_scores_of_several_runs(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(10 * seed))) for seed in (0, 1, 2)]
    results = results_of(runs)
    found = scores(results, [run.name for run in runs])
    correct = results.correct([run.name for run in runs])
    interval = accuracy_interval(correct)
    assert found["accuracy"] == mean_accuracy(correct) == 570 / 600
    assert found["spread"] == pytest.approx(np.std([1, 0.95, 0.9], ddof=1))
    assert (found["low"], found["high"]) == (interval.low, interval.high)
    assert scores(results, [runs[0].name])["spread"] is None


def test_seeds_that_predict_one_label_are_counted(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record("minilm", seed=0), [1] * 200)]
    runs.append(publish_many(tmp_path, a_record("minilm", seed=1), wrong_at([])))
    assert one_row(*runs)["collapsed"] == 1


def test_random_weights_have_costs_and_no_accuracy(tmp_path: Path) -> None:
    row = one_row(publish(tmp_path, a_record("minilm", "model.weights.source=random", fit=RANDOM_FIT)))
    assert not row["result"]
    assert pd.isna(row["accuracy"])
    assert row["training_seconds"] == FIT.training_seconds
    assert row["status"].endswith("random weights, no accuracy")


def test_a_configuration_without_a_completed_run_says_why(tmp_path: Path) -> None:
    row = one_row(publish(tmp_path, a_record("minilm", **FAILED)))
    assert (row["result"], row["counted"]) == (False, [])
    assert row["status"] == "not run: failed, There is no CUDA GPU"
    assert pd.isna(row["seeds"])


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (a_record(**FAILED), "failed, There is no CUDA GPU"),
        (a_record(status=Status.interrupted), "interrupted"),
        (a_record("minilm", fit=RANDOM_FIT), "random weights"),
    ],
)
def test_how_a_run_without_a_result_ended(record: RunRecord, text: str) -> None:
    assert failure(record) == text


@pytest.mark.parametrize(
    ("record", "repeats"),
    [
        (a_record("bert_base"), True),
        (a_record("bert_base", seed=3), True),
        (a_record("bert_base", "recipe.learning_rate=0.00002"), False),
        (a_record("bert_base", "model.attention=eager"), False),
        (a_record("bert_base", "dataset.train_rows=100"), False),
        (a_record("bert_base", "model.name=mine"), False),
    ],
)
def test_only_the_model_as_shipped_on_all_rows_repeats_the_study(
    record: RunRecord, repeats: bool, tmp_path: Path
) -> None:
    results = results_of([publish(tmp_path, record)])
    assert repeats_study(results, record) is repeats
    assert record.data is not None
    carved = replace(record, data=replace(record.data, carved_rows=1))
    assert not repeats_study(results, carved)


def test_configurations_with_results_are_sorted_by_accuracy_and_are_of_one_data_set(tmp_path: Path) -> None:
    table = configurations(
        results_of(
            [
                publish_many(tmp_path, a_record("tfidf"), wrong_at(range(9))),
                publish_many(tmp_path, a_record("minilm"), wrong_at(range(3))),
                publish_many(tmp_path, a_record("majority", dataset="mine"), wrong_at(range(1))),
                publish(tmp_path, a_record("bert_base", **FAILED)),
            ]
        )
    )
    assert with_results(table)["model"].tolist() == ["minilm", "tfidf"]
    assert with_results(table, "mine")["model"].tolist() == ["majority"]


def test_frontier_of_each_cost_and_what_dominates(tmp_path: Path) -> None:
    runs = [
        publish_with_costs(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        publish_with_costs(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3),
        publish_with_costs(tmp_path, "tfidf", 30, training=1, memory=100, trained=60, answering=1),
    ]
    table = analysis(*runs).configurations
    models = table["model"].tolist()
    on = {cost: {m for m, best in zip(models, frontier(table, cost), strict=True) if best} for cost in COSTS}
    assert on == {
        "training_seconds": {"minilm", "tfidf"},
        "peak_memory": {"minilm", "tfidf"},
        "trained_parameters": {"minilm"},
        "seconds_per_text": {"minilm", "tfidf"},
    }
    minilm = table[table["model"] == "minilm"]["configuration"].iloc[0]
    assert dict(zip(models, dominated_by(table), strict=True)) == {"minilm": [], "bert_base": [minilm], "tfidf": []}


@pytest.mark.parametrize(("seconds", "dominates"), [(9.0, False), (8.9, True)])
def test_a_cost_is_clearly_lower_below_nine_tenths(seconds: float, dominates: bool, tmp_path: Path) -> None:
    runs = [
        publish_with_costs(tmp_path, "minilm", 10, training=seconds, memory=200, trained=50, answering=2),
        publish_with_costs(tmp_path, "bert_base", 10, training=10.0, memory=200, trained=50, answering=2),
    ]
    assert [bool(found) for found in dominated_by(analysis(*runs).configurations)] == [False, dominates]
