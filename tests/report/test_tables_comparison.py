from pathlib import Path
from typing import Any

import pytest
from factories import MANY_GOLD, RANDOM_FIT, a_record, publish, publish_many, table_rows, wrong_at

from benchmark.report.tables.comparison import letter
from benchmark.results.record import Failure, Status
from benchmark.results.store import Run


@pytest.fixture
def three(tmp_path: Path) -> list[Run]:
    """Of three models only the first and the last differ."""
    wrong = {"minilm": 2, "bert_base": 7, "tfidf": 12}
    return [publish_many(tmp_path, a_record(model), wrong_at(range(end))) for model, end in wrong.items()]


def test_pairs_have_the_more_accurate_first_and_a_verdict(three: list[Run]) -> None:
    rows = table_rows("pairwise", *three)
    assert [(row["better"], row["other"], row["verdict"]) for row in rows] == [
        ("MiniLM-L6, paper", "BERT base, paper", "not significant"),
        ("MiniLM-L6, paper", "TF-IDF + logistic regression, paper", "differ"),
        ("BERT base, paper", "TF-IDF + logistic regression, paper", "not significant"),
    ]
    assert [(row["wins"], row["losses"], row["seed_pairs"]) for row in rows] == [(5, 0, 1), (10, 0, 1), (5, 0, 1)]
    assert [row["p"] for row in rows] == [0.0625, 0.001953, 0.0625]  # four digits of 2 / 2**10
    assert [row["adjusted_p"] for row in rows] == [0.125, 0.005859, 0.125]
    assert [row["detectable"] for row in rows] == [None, None, None]
    ids = {row["configuration"] for row in table_rows("ties", *three)}
    assert {row[side] for row in rows for side in ("better_id", "other_id")} == ids


def test_the_detectable_difference_has_six_digits(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(model), wrong_at(range(end))) for model, end in (("minilm", 2), ("tfidf", 42))
    ]
    (row,) = table_rows("pairwise", *runs)
    assert row["detectable"] == 0.088073
    assert row["difference"] == pytest.approx(0.2)


def test_configurations_that_share_a_letter_are_tied(three: list[Run]) -> None:
    rows = table_rows("ties", *three)
    assert [row["group"] for row in rows] == ["a", "a b", "b"]
    assert [row["model"] for row in rows][:2] == ["MiniLM-L6", "BERT base"]


@pytest.mark.parametrize(("number", "name"), [(0, "a"), (25, "z"), (26, "aa"), (51, "az"), (52, "ba"), (702, "aaa")])
def test_letters_go_on_after_z(number: int, name: str) -> None:
    assert letter(number) == name


def test_seeds_that_failed_or_predict_one_label_are_counted(tmp_path: Path) -> None:
    ended = {1: Status.failed, 2: Status.interrupted}
    runs = [
        publish(tmp_path, a_record("minilm", seed=seed, status=status, failure=Failure("It stopped.")))
        for seed, status in ended.items()
    ]
    runs.append(publish_many(tmp_path, a_record("minilm", seed=0), wrong_at(range(20))))
    runs.append(publish_many(tmp_path, a_record("minilm", seed=3), [1] * 200))
    (row,) = table_rows("seeds", *runs)
    assert [row[name] for name in ("asked", "completed", "failed", "interrupted", "collapsed")] == [4, 2, 1, 1, 1]
    collapsed = MANY_GOLD.count(1) / 200
    assert (row["minimum"], row["maximum"]) == (collapsed, 0.9)
    assert row["mean"] == pytest.approx((0.9 + collapsed) / 2)
    assert row["spread"] == pytest.approx((0.9 - collapsed) / 2**0.5)


def test_a_seed_that_is_not_counted_is_asked_for_too(tmp_path: Path) -> None:
    replaced = publish_many(tmp_path, a_record("minilm", seed=1, fit=RANDOM_FIT), wrong_at(range(50)))
    (row,) = table_rows("seeds", replaced, publish_many(tmp_path, a_record("minilm"), wrong_at(range(4))))
    assert [row[name] for name in ("asked", "completed", "mean", "minimum")] == [2, 2, 0.98, 0.98]
    assert table_rows("seeds", replaced) == []


def test_seeds_are_ordered_by_mean_and_configurations_without_one_are_last(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"status": Status.failed}
    runs = [
        publish(tmp_path, a_record("majority", **failed)),
        publish_many(tmp_path, a_record("tfidf"), wrong_at(range(200))),
        publish_many(tmp_path, a_record("minilm"), wrong_at(range(4))),
        publish(tmp_path, a_record("minilm", "recipe.max_steps=2")),  # a reduced run
        publish(tmp_path, a_record("bert_base", dataset="mine")),
    ]
    rows = table_rows("seeds", *runs)
    columns = ("model", "mean", "asked", "completed", "failed", "interrupted")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("MiniLM-L6", 0.98, 1, 1, 0, 0),
        ("TF-IDF + logistic regression", 0.0, 1, 1, 0, 0),
        ("Majority label", None, 1, 0, 1, 0),
    ]
    assert (rows[2]["minimum"], rows[2]["maximum"], rows[2]["collapsed"]) == (None, None, 0)
