from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import FIT, LABELS, a_record, a_record_on_rows, publish, publish_many, row_with, table_rows, wrong_at
from factories import MANY_GOLD as GOLD

from benchmark.analysis.metrics import per_class
from benchmark.interface import NO_LABEL, AdapterSource, CurvePoint, WeightSource
from benchmark.report.tables import TABLES
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run


def curve(*runs: Run) -> list[dict[str, Any]]:
    return table_rows("learning_curve", *runs)


def test_a_curve_rises_over_the_rows_and_ends_with_all_of_them(tmp_path: Path) -> None:
    rows = curve(
        publish_many(tmp_path, a_record_on_rows(1000, limited=False), wrong_at(range(10))),
        publish_many(tmp_path, a_record_on_rows(100, seed=0), wrong_at(range(60))),
        publish_many(tmp_path, a_record_on_rows(100, seed=1), wrong_at(range(80))),
        publish_many(tmp_path, a_record_on_rows(10), wrong_at(range(150))),
    )
    assert [(row["train_rows"], row["steps"], row["seeds"], row["accuracy"]) for row in rows] == [
        (10, 24, 1, 0.25),
        (100, 24, 2, pytest.approx(0.65)),
        (1000, 24, 1, 0.95),
    ]
    assert {(row["model"], row["recipe"]) for row in rows} == {("MiniLM-L6 (22M BERT)", "paper")}


def test_every_label_has_its_own_f1(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record_on_rows(rows), wrong_at(range(rows))) for rows in (20, 60)]
    row = row_with(curve(*runs), train_rows=60)
    expected = per_class(runs[1].gold, runs[1].predictions.predicted, len(LABELS)).f1
    assert [row[f"f1_{label}"] for label in LABELS] == pytest.approx(expected.tolist())


def test_all_rows_asked_for_by_number_count_once_per_seed(tmp_path: Path) -> None:
    rows = curve(
        publish_many(tmp_path, a_record_on_rows(100, limited=False), wrong_at(range(10))),
        publish_many(tmp_path, a_record_on_rows(100), wrong_at(range(40))),
        publish_many(tmp_path, a_record_on_rows(50), wrong_at(range(50))),
    )
    assert [(row["train_rows"], row["seeds"], row["accuracy"]) for row in rows] == [(50, 1, 0.75), (100, 1, 0.95)]


def test_models_and_recipes_have_their_own_curves(tmp_path: Path) -> None:
    options = [("tfidf", []), ("minilm", ["recipe.epochs=9"]), ("minilm", [])]
    runs = [
        publish_many(tmp_path, a_record_on_rows(rows, model, 0, *given), GOLD)
        for model, given in options
        for rows in (10, 20)
    ]
    names = [(row["model"], row["recipe"]) for row in curve(*runs)]
    assert names == [
        *[("MiniLM-L6 (22M BERT)", "paper")] * 2,
        *[("MiniLM-L6 (22M BERT)", "paper, recipe.epochs=9")] * 2,
        *[("TF-IDF + logistic regression", "paper")] * 2,
    ]


def test_one_size_other_limits_and_failures_are_not_part_of_a_curve(tmp_path: Path) -> None:
    whole = publish_many(tmp_path, a_record_on_rows(1000, limited=False), GOLD)
    assert curve(whole) == []
    others = [
        publish_many(tmp_path, a_record_on_rows(10, "minilm", 0, "recipe.max_steps=3"), GOLD),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=20", status=Status.failed)),
        publish_many(tmp_path, replace(a_record_on_rows(30), fit=replace(FIT, weights=WeightSource("random"))), GOLD),
    ]
    assert curve(whole, *others) == []


def test_limited_runs_are_in_no_other_table(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record_on_rows(rows), wrong_at(range(rows))) for rows in (10, 20)]
    for name in ("per_class", "pairwise", "ties", "frontier", "selective", "confused_pairs", "seeds", "readouts"):
        assert table_rows(name, *runs) == []


def read_by(way: str, *overrides: str, seed: int = 0, fit: Any = FIT) -> RunRecord:
    model = "smollm2_head" if way == "head" else "smollm2_lora"
    return a_record(model, f"model.readout={way}", *overrides, seed=seed, fit=fit)


def readouts(*runs: Run) -> list[dict[str, Any]]:
    return table_rows("readouts", *runs)


def test_three_read_outs_of_one_training_are_compared(tmp_path: Path) -> None:
    free = wrong_at(range(10))
    free[0] = free[100] = NO_LABEL
    rows = readouts(
        publish_many(tmp_path, read_by("head"), wrong_at(range(20, 24))),
        publish(tmp_path, read_by("generate"), free, ["some words"] * 200, GOLD),
        publish_many(tmp_path, read_by("labels"), wrong_at(range(10))),
    )
    assert [row["readout"] for row in rows] == ["constrained labels", "free generation", "classification head"]
    assert [row["accuracy"] for row in rows] == [190 / 200, 189 / 200, 196 / 200]
    assert [row["invalid"] for row in rows] == [0, 2 / 200, 0]
    labels, generate, head = rows
    assert (labels["differs_from_labels"], labels["differs_from_generate"]) == (None, 2 / 200)
    assert labels["differs_from_head"] == head["differs_from_labels"] == 14 / 200
    assert generate["differs_from_head"] == 15 / 200


def test_only_seeds_with_two_read_outs_are_compared(tmp_path: Path) -> None:
    rows = readouts(
        publish_many(tmp_path, read_by("labels", seed=0), wrong_at(range(10))),
        publish_many(tmp_path, read_by("labels", seed=1), wrong_at(range(50))),
        publish_many(tmp_path, read_by("head", seed=0), wrong_at(range(10))),
    )
    assert [(row["seeds"], row["accuracy"]) for row in rows] == [(1, 0.95), (1, 0.95)]
    assert rows[0]["differs_from_head"] == 0


def test_an_adapter_counts_for_the_seed_that_trained_it_and_a_foreign_one_for_none(tmp_path: Path) -> None:
    def loads(name: str) -> RunRecord:
        weights = WeightSource("wheel", adapter=AdapterSource(name, "f" * 64))
        fit = replace(FIT, weights=weights, trained_parameters=0)
        return read_by("generate", f"model.adapter={name}@0123456789ab", fit=fit)

    trained = publish_many(tmp_path, read_by("labels", seed=3), wrong_at(range(10)))
    rows = readouts(trained, publish_many(tmp_path, loads(trained.folder.name), wrong_at(range(14))))
    assert [row["differs_from_labels"] for row in rows] == [None, 4 / 200]
    assert {row["recipe"] for row in rows} == {"paper"}
    assert readouts(trained, publish_many(tmp_path, loads("another"), wrong_at(range(14)))) == []
    other = publish_many(tmp_path, read_by("labels", "recipe.learning_rate=0.5"), wrong_at(range(10)))
    again = publish_many(tmp_path, loads(other.folder.name), wrong_at(range(11)))  # under its own recipe
    assert [row["differs_from_labels"] for row in readouts(trained, other, again)] == [None, 1 / 200]


def test_another_recipe_is_another_training(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, read_by("labels", "recipe.learning_rate=0.001"), GOLD),
        publish_many(tmp_path, read_by("head"), GOLD),
    ]
    assert readouts(*runs) == []
    both = readouts(*runs, publish_many(tmp_path, read_by("generate", "recipe.learning_rate=0.001"), GOLD))
    assert all("recipe.learning_rate=0.001" in row["recipe"] for row in both)
    assert row_with(both, readout="constrained labels")["differs_from_generate"] == 0


def test_limited_read_outs_are_not_compared(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, read_by(way, "recipe.max_steps=3"), GOLD) for way in ("labels", "head")]
    assert readouts(*runs) == []


def trial(*overrides: str, after: tuple[float, ...] = (0.5,), model: str = "minilm") -> RunRecord:
    curve = tuple(CurvePoint(step, 1.0, validation_accuracy=value) for step, value in enumerate(after))
    fit = replace(FIT, curve=curve)
    return a_record(model, "dataset.test_rows=1", "recipe.name=tune_cpu", *overrides, fit=fit)


def test_trials_are_sorted_by_their_last_validation_accuracy_and_other_runs_left_out(tmp_path: Path) -> None:
    records = [
        trial("recipe.learning_rate=5e-5", after=(0.7, 0.5)),
        trial("recipe.learning_rate=2e-4", after=(0.3, 0.6)),
        a_record("minilm"),  # a result
        a_record("minilm", "dataset.test_rows=5"),  # has a test accuracy
        trial(model="tfidf", after=()),  # without validation
        replace(trial(model="bert_base"), fit=replace(FIT, weights=WeightSource("random"))),
        trial("recipe.max_steps=3"),
    ]
    rows = table_rows("tuning", *(publish(tmp_path, record) for record in records))
    found = [(row["recipe"], row["learning_rate"], row["train_rows"], row["validation_accuracy"]) for row in rows]
    assert found == [("tune_cpu", 2e-4, "all", 0.6), ("tune_cpu", 5e-5, "all", 0.5)]


def test_trials_name_settings_without_a_column_of_their_own(tmp_path: Path) -> None:
    runs = [publish(tmp_path, trial(*more)) for more in ([], ["recipe.batch_size=16"], ["dataset.train_rows=5"])]
    rows = table_rows("tuning", *runs)
    assert sorted(row["recipe"] for row in rows) == ["tune_cpu", "tune_cpu", "tune_cpu, recipe.batch_size=16"]
    assert {row["train_rows"] for row in rows} == {"all", 5}


@pytest.mark.parametrize("name", ["learning_curve", "readouts", "tuning"])
def test_an_empty_table_has_its_columns(name: str) -> None:
    assert table_rows(name) == []
    assert TABLES[name].columns
