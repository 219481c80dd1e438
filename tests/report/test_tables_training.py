from dataclasses import replace
from pathlib import Path

import pytest
from factories import (
    FIT,
    LABELS,
    MANY_GOLD,
    RANDOM_FIT,
    a_record,
    a_record_on_rows,
    loading,
    publish,
    publish_many,
    row_with,
    table_rows,
    wrong_at,
)

from benchmark.analysis.metrics import per_class
from benchmark.config import digest_of
from benchmark.interface import NO_LABEL, CurvePoint
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run

MINILM = "MiniLM-L6"


# Learning curve


def test_a_curve_has_one_point_per_number_of_rows(tmp_path: Path) -> None:
    rows = table_rows(
        "learning_curve",
        publish_many(tmp_path, a_record_on_rows(1000, limited=False), wrong_at(range(10))),
        publish_many(tmp_path, a_record_on_rows(100, seed=0), wrong_at(range(60))),
        publish_many(tmp_path, a_record_on_rows(100, seed=1), wrong_at(range(80))),
        publish_many(tmp_path, a_record_on_rows(10), wrong_at(range(150))),
    )
    assert [(row["train_rows"], row["steps"], row["seeds"], row["accuracy"]) for row in rows] == [
        (10, 24, 1, 0.25),
        (100, 24, 2, 0.65),
        (1000, 24, 1, 0.95),
    ]
    assert {(row["model"], row["recipe"]) for row in rows} == {(MINILM, "paper")}
    assert len({row["curve"] for row in rows}) == 1
    assert rows[1]["spread"] == pytest.approx(0.1 / 2**0.5)
    assert [row["low"] < row["accuracy"] < row["high"] for row in rows] == [True] * 3


def test_every_label_has_a_score_the_mean_over_seeds(tmp_path: Path) -> None:
    predicted = [wrong_at(range(0, 60, 6)), wrong_at(range(0, 30, 6))]
    runs = [publish_many(tmp_path, a_record_on_rows(10, seed=seed), predicted[seed]) for seed in (0, 1)]
    runs.append(publish_many(tmp_path, a_record_on_rows(100), MANY_GOLD))
    row = row_with(table_rows("learning_curve", *runs), train_rows=10)
    scores = [per_class(run.gold, run.predictions.predicted, 6).f1 for run in runs[:2]]
    assert [row[f"f1_{label}"] for label in LABELS] == pytest.approx((scores[0] + scores[1]) / 2)
    assert row["macro_f1"] == pytest.approx((scores[0].mean() + scores[1].mean()) / 2)


def test_all_rows_asked_for_by_number_are_one_point_with_all_rows(tmp_path: Path) -> None:
    rows = table_rows(
        "learning_curve",
        publish_many(tmp_path, a_record_on_rows(100), wrong_at(range(60))),
        publish_many(tmp_path, a_record_on_rows(1000), wrong_at(range(20))),
        publish_many(tmp_path, a_record_on_rows(1000, limited=False), wrong_at(range(10))),
        publish_many(tmp_path, a_record_on_rows(1000, seed=1), wrong_at(range(30))),
    )
    assert row_with(rows, train_rows=1000)["seeds"] == 2
    assert row_with(rows, train_rows=1000)["accuracy"] == pytest.approx((0.95 + 0.85) / 2)


def test_corrected_training_labels_are_not_seeds_of_one_point(tmp_path: Path) -> None:
    whole = publish_many(tmp_path, a_record_on_rows(1000, limited=False), MANY_GOLD)
    old = a_record_on_rows(100, seed=0)
    data = old.data
    assert data is not None
    changed = replace(data.splits["train"], sha256="c" * 64)
    corrected = replace(data, splits=data.splits | {"train": changed})
    new = replace(a_record_on_rows(100, seed=1), data=corrected, started="2026-01-02T10:00:00+00:00")
    new = replace(new, digest=digest_of(new.config.as_json(), corrected.hashes()))
    runs = [publish_many(tmp_path, new, wrong_at(range(20))), publish_many(tmp_path, old, wrong_at(range(60)))]
    row = row_with(table_rows("learning_curve", whole, *runs), train_rows=100)
    assert (row["seeds"], row["accuracy"]) == (1, 0.9)


def test_no_label_for_every_text_is_not_called_a_constant_prediction(tmp_path: Path) -> None:
    predictions = {10: [NO_LABEL] * 200, 100: [1] * 200}
    runs = [publish_many(tmp_path, a_record_on_rows(rows), predicted) for rows, predicted in predictions.items()]
    remarks = [row["remark"] for row in table_rows("learning_curve", *runs)]
    assert remarks == [None, "a constant prediction"]


def test_first_rows_and_drawn_rows_are_points_of_different_curves(tmp_path: Path) -> None:
    whole = publish_many(tmp_path, a_record_on_rows(1000, limited=False), MANY_GOLD)
    drawn = publish_many(tmp_path, a_record_on_rows(100), wrong_at(range(20)))
    first = publish_many(tmp_path, a_record_on_rows(100, "minilm", 0, "dataset.row_choice=first"), wrong_at(range(60)))
    rows = table_rows("learning_curve", whole, drawn, first)
    assert {(row["rows"], row["train_rows"]): row["accuracy"] for row in rows} == {
        ("first", 100): 0.7,
        ("first", 1000): 1.0,
        ("stratified", 100): 0.9,
        ("stratified", 1000): 1.0,
    }
    assert {(row["recipe"], row["epochs"]) for row in rows} == {("paper", 3.0)}
    assert len({row["curve"] for row in rows}) == 2


def test_a_curve_without_steps_has_no_epochs(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record_on_rows(rows, "tfidf"), MANY_GOLD) for rows in (10, 100)]
    runs = [replace(run, record=replace(run.record, fit=replace(FIT, steps=0))) for run in runs]
    assert [row["epochs"] for row in table_rows("learning_curve", *runs)] == [None, None]


def test_models_and_recipes_have_curves_of_their_own(tmp_path: Path) -> None:
    given = (("tfidf", ()), ("minilm", ("recipe.learning_rate=0.001",)), ("minilm", ()))
    runs = [
        publish_many(tmp_path, a_record_on_rows(rows, model, 0, *overrides), MANY_GOLD)
        for rows in (100, 10)
        for model, overrides in given
    ]
    assert [(row["model"], row["recipe"], row["train_rows"]) for row in table_rows("learning_curve", *runs)] == [
        (model, recipe, rows)
        for model, recipe in (
            (MINILM, "paper"),
            (MINILM, "paper, learning rate 1e-3"),
            ("TF-IDF + logistic regression", "paper"),
        )
        for rows in (10, 100)
    ]


def test_a_curve_needs_two_numbers_of_rows_and_no_other_limit(tmp_path: Path) -> None:
    random = replace(a_record_on_rows(10, "minilm", 0, "model.weights.source=random"), fit=RANDOM_FIT)
    limited = a_record_on_rows(30, "minilm", 0, "recipe.max_steps=5")
    failed = replace(a_record_on_rows(20), status=Status.failed)
    other = a_record_on_rows(40, "minilm", 0)
    other = replace(other, config=replace(other.config, dataset=replace(other.config.dataset, name="mine")))
    runs = [publish_many(tmp_path, a_record_on_rows(1000, limited=False), MANY_GOLD)]
    runs += [publish_many(tmp_path, record, MANY_GOLD) for record in (random, limited, other)]
    assert table_rows("learning_curve", *runs, publish(tmp_path, failed)) == []


@pytest.mark.parametrize("name", ["pairwise", "ties", "seeds", "test_views", "selective", "frontier", "hard_items"])
def test_a_limited_run_is_in_no_other_table(name: str, tmp_path: Path) -> None:
    assert (
        table_rows(name, *(publish_many(tmp_path, a_record_on_rows(rows), wrong_at(range(9))) for rows in (10, 100)))
        == []
    )


# Read-outs


def read_by(way: str, *overrides: str, seed: int = 0) -> RunRecord:
    return a_record("smollm2_lora", f"model.readout={way}", *overrides, seed=seed)


def loaded(run: Run, adapter_sha256: str = "f" * 64) -> RunRecord:
    """The record of a run that reads the adapter of that run by free generation."""
    name = run.folder.name
    return loading(read_by("generate", f"model.adapter={name.replace('-', '_')}"), name, adapter_sha256)


def test_the_read_outs_of_a_training_are_compared(tmp_path: Path) -> None:
    free = wrong_at(range(10))
    free[0] = free[100] = NO_LABEL
    rows = table_rows(
        "readouts",
        publish_many(tmp_path, read_by("head"), wrong_at(range(20, 24))),
        publish(tmp_path, read_by("generate"), free, ["some words"] * 200, MANY_GOLD),
        publish_many(tmp_path, read_by("labels"), wrong_at(range(10))),
    )
    assert [row["readout"] for row in rows] == ["constrained labels", "free generation", "classification head"]
    assert [row["accuracy"] for row in rows] == [190 / 200, 189 / 200, 196 / 200]
    assert [row["invalid"] for row in rows] == [0, 2 / 200, 0]
    ways = ("labels", "generate", "head")
    assert [[row[f"differs_from_{way}"] for way in ways] for row in rows] == [
        [None, 2 / 200, 14 / 200],
        [2 / 200, None, 15 / 200],
        [14 / 200, 15 / 200, None],
    ]


def test_only_seeds_with_two_read_outs_are_compared(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, read_by(way, seed=seed), wrong_at(range(wrong)))
        for way, seed, wrong in (
            ("labels", 0, 10),
            ("labels", 1, 50),
            ("labels", 2, 30),
            ("head", 0, 14),
            ("head", 2, 30),
        )
    ]
    rows = table_rows("readouts", *runs)
    assert [(row["seeds"], row["accuracy"]) for row in rows] == [(2, 0.9), (2, 0.89)]
    assert rows[0]["differs_from_head"] == rows[1]["differs_from_labels"] == pytest.approx(4 / 200 / 2)


def test_an_adapter_is_compared_with_the_seed_that_trained_it(tmp_path: Path) -> None:
    trained = publish_many(tmp_path, read_by("labels", "recipe.learning_rate=0.5", seed=3), wrong_at(range(10)))
    other = publish_many(tmp_path, read_by("labels", "recipe.learning_rate=0.5", seed=0), wrong_at(range(50)))
    reader = publish_many(tmp_path, loaded(trained), wrong_at(range(14)))
    rows = table_rows("readouts", trained, other, reader)
    assert [(row["differs_from_labels"], row["seeds"]) for row in rows] == [(None, 1), (4 / 200, 1)]
    assert {row["recipe"] for row in rows} == {"paper, learning rate 0.5"}


def test_an_adapter_made_elsewhere_is_compared_with_nothing(tmp_path: Path) -> None:
    trained = publish_many(tmp_path, read_by("labels"), wrong_at(range(10)))
    elsewhere = loading(read_by("generate", "model.adapter=other"), "other")
    assert table_rows("readouts", trained, publish_many(tmp_path, elsewhere, MANY_GOLD)) == []


@pytest.mark.parametrize(
    "other", ['model.prompt={"name": "mine", "user": "{text}"}', "model.instruction=Which?", "model.chat_template=mine"]
)
def test_read_outs_that_ask_in_another_way_are_not_compared(other: str, tmp_path: Path) -> None:
    trained = publish_many(tmp_path, read_by("labels"), wrong_at(range(10)))
    changed = publish_many(tmp_path, read_by("generate", other), wrong_at(range(50)))
    reader = loading(read_by("generate", "model.adapter=its", other), trained.folder.name)
    assert table_rows("readouts", trained, changed, publish_many(tmp_path, reader, MANY_GOLD)) == []
    head = publish_many(tmp_path, read_by("head", other), wrong_at(range(14)))
    rows = table_rows("readouts", trained, changed, head)
    assert [(row["readout"], row["accuracy"]) for row in rows] == [
        ("free generation", 150 / 200),
        ("classification head", 186 / 200),
    ]


def test_another_recipe_is_another_training_and_limited_runs_are_left_out(tmp_path: Path) -> None:
    rate = "recipe.learning_rate=0.001"
    runs = [publish_many(tmp_path, record, MANY_GOLD) for record in (read_by("labels", rate), read_by("head"))]
    runs += [publish_many(tmp_path, read_by(way, "recipe.max_steps=3"), MANY_GOLD) for way in ("labels", "head")]
    assert table_rows("readouts", *runs) == []
    rows = table_rows("readouts", *runs, publish_many(tmp_path, read_by("generate", rate), MANY_GOLD))
    assert [row["differs_from_generate"] for row in rows] == [0, None]


# Trials


def trial(*overrides: str, validated: tuple[float, ...] = (0.5,), model: str = "minilm") -> RunRecord:
    curve = tuple(CurvePoint(step, 1.0, validation_accuracy=value) for step, value in enumerate(validated))
    fit = replace(FIT, curve=curve)
    return a_record(model, "recipe.name=tune_cpu", "dataset.test_rows=1", *overrides, fit=fit)


def test_trials_are_ordered_by_their_last_validation_accuracy(tmp_path: Path) -> None:
    trials = [
        trial("recipe.learning_rate=0.5", "dataset.train_rows=20", validated=(0.7, 0.5)),
        trial("recipe.learning_rate=0.25", "recipe.epochs=9", validated=(0.3, 0.6)),
        trial("recipe.learning_rate=0.5", "recipe.batch_size=16", validated=(0.9,)),
        trial(model="bert_base"),
    ]
    rows = table_rows("tuning", *(publish(tmp_path, record) for record in trials))
    columns = ("model", "recipe", "learning_rate", "epochs", "train_rows", "validation_accuracy", "seed")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("BERT base", "tune_cpu", 5e-5, 3, "all", 0.5, 0),
        (MINILM, "tune_cpu", 0.25, 9, "all", 0.6, 0),
        (MINILM, "tune_cpu", 0.5, 3, 20, 0.5, 0),
        (MINILM, "tune_cpu, batch size 16 x 4", 0.5, 3, "all", 0.9, 0),
    ]


def test_only_runs_with_validation_that_left_the_test_split_alone_are_trials(tmp_path: Path) -> None:
    others = [
        a_record("minilm"),
        a_record("minilm", "dataset.test_rows=5"),
        a_record("minilm", "dataset.test_rows=1", status=Status.failed),
        a_record("bert_base", "dataset.test_rows=1", fit=RANDOM_FIT),
        trial("recipe.max_steps=3"),
        trial(model="tfidf", validated=()),
    ]
    assert table_rows("tuning", *(publish(tmp_path, record) for record in others)) == []
