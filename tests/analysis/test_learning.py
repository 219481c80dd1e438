from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import FIT, LABELS, a_record, evidence, on_rows, publish, rows_of, the, told, wrong_at
from factories import MANY_GOLD as GOLD

from benchmark.analysis.metrics import per_class
from benchmark.report.tables import TABLES
from benchmark.results.record import Status
from benchmark.results.store import Run


def curve(*runs: Run) -> list[dict[str, Any]]:
    return rows_of(TABLES["learning_curve"](evidence(*runs)))


def test_a_curve_rises_over_the_rows_and_ends_with_all_of_them(tmp_path: Path) -> None:
    rows = curve(
        told(tmp_path, on_rows(1000, asked=False), wrong_at(range(10))),
        told(tmp_path, on_rows(100, seed=0), wrong_at(range(60))),
        told(tmp_path, on_rows(100, seed=1), wrong_at(range(80))),
        told(tmp_path, on_rows(10), wrong_at(range(150))),
    )
    assert [(row["train_rows"], row["steps"], row["seeds"], row["accuracy"]) for row in rows] == [
        (10, 24, 1, 0.25),
        (100, 24, 2, pytest.approx(0.65)),
        (1000, 24, 1, 0.95),
    ]
    assert {(row["model"], row["recipe"]) for row in rows} == {("MiniLM-L6 (22M BERT)", "paper")}
    assert rows[1]["spread"] == pytest.approx(0.1 / 2**0.5)
    assert [row["low"] < row["accuracy"] < row["high"] for row in rows] == [True] * 3


def test_every_label_has_its_own_score(tmp_path: Path) -> None:
    predicted = wrong_at(range(0, 60, 6))
    runs = [told(tmp_path, on_rows(rows), predicted) for rows in (10, 100)]
    scores = per_class(runs[0].gold, runs[0].predictions.predicted, 6).f1
    for row in curve(*runs):
        assert [row[f"f1_{label}"] for label in LABELS] == pytest.approx(scores.tolist())
        assert row["macro_f1"] == pytest.approx(scores.mean())


def test_all_rows_asked_for_by_number_are_all_rows_once(tmp_path: Path) -> None:
    rows = curve(
        told(tmp_path, on_rows(100), wrong_at(range(60))),
        told(tmp_path, on_rows(1000), wrong_at(range(20))),
        told(tmp_path, on_rows(1000, asked=False), wrong_at(range(10))),
        told(tmp_path, on_rows(1000, seed=1), wrong_at(range(30))),
    )
    assert the(rows, train_rows=1000)["seeds"] == 2
    assert the(rows, train_rows=1000)["accuracy"] == pytest.approx((0.95 + 0.85) / 2)


def test_models_and_recipes_have_curves_of_their_own(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, on_rows(rows, model, 0, *overrides), GOLD)
        for rows in (10, 100)
        for model, overrides in (("minilm", ()), ("tfidf", ()), ("minilm", ("recipe.learning_rate=0.001",)))
    ]
    assert [(row["model"], row["recipe"], row["train_rows"]) for row in curve(*runs)] == [
        (model, recipe, rows)
        for model, recipe in (
            ("MiniLM-L6 (22M BERT)", "paper"),
            ("MiniLM-L6 (22M BERT)", "paper, recipe.learning_rate=0.001"),
            ("TF-IDF + logistic regression", "paper"),
        )
        for rows in (10, 100)
    ]


def test_one_size_is_no_curve_and_other_limits_have_no_place_in_one(tmp_path: Path) -> None:
    random = on_rows(10, "minilm", 0, "model.weights.source=random")
    runs = [
        told(tmp_path, on_rows(1000, asked=False), GOLD),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=10", "recipe.max_steps=5")),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=20", status=Status.failed)),
        told(tmp_path, replace(random, fit=replace(FIT, weights={"source": "random"})), GOLD),
    ]
    assert curve(*runs) == []


def test_a_limited_run_enters_no_other_table(tmp_path: Path) -> None:
    runs = [told(tmp_path, on_rows(rows), wrong_at(range(9))) for rows in (10, 100)]
    for name in ("pairwise", "ties", "seeds", "test_views", "selective", "frontier", "confused_pairs", "hard_items"):
        assert TABLES[name](evidence(*runs)).empty
