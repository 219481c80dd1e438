from pathlib import Path

import pytest
from factories import MANY_GOLD as GOLD
from factories import a_record, publish, table_rows, the, told, wrong_at

from benchmark.results.record import Failure, Status
from benchmark.results.store import Run


def test_pairs_stand_with_the_better_one_first_and_their_verdict(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 7, "tfidf": 12}
    runs = [told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()]
    rows = table_rows("pairwise", *runs)
    assert [(row["better"], row["other"], row["verdict"]) for row in rows] == [
        ("MiniLM-L6 (22M BERT), paper", "BERT base (uncased), paper", "tied"),
        ("MiniLM-L6 (22M BERT), paper", "TF-IDF + logistic regression, paper", "differ"),
        ("BERT base (uncased), paper", "TF-IDF + logistic regression, paper", "tied"),
    ]
    assert [(row["wins"], row["losses"]) for row in rows] == [(5, 0), (10, 0), (5, 0)]
    assert rows[1]["p"] == pytest.approx(2 / 2**10, rel=1e-3)
    assert rows[1]["adjusted_p"] == pytest.approx(3 * 2 / 2**10, rel=1e-3)


def test_variants_that_share_a_letter_are_tied(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 7, "tfidf": 12}
    runs = [told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()]
    elsewhere = a_record("roberta_base", test_sha256="d" * 64)  # on another test set
    runs.append(told(tmp_path, elsewhere, GOLD[:50], GOLD[:50]))
    rows = table_rows("ties", *runs)
    assert [row["group"] for row in rows] == ["a", "a b", "b", "c"]


def seeds_of(*runs: Run) -> list[dict[str, object]]:
    return table_rows("seeds", *runs)


def test_seeds_that_failed_or_collapsed_are_counted_and_never_dropped(tmp_path: Path) -> None:
    ended = {1: Status.failed, 2: Status.interrupted}
    runs = [
        publish(tmp_path, a_record("minilm", seed=seed, status=status, failure=Failure("stopped")))
        for seed, status in ended.items()
    ]
    runs.append(told(tmp_path, a_record("minilm", seed=0), wrong_at(range(20))))
    runs.append(told(tmp_path, a_record("minilm", seed=3), [1] * 200))
    row = the(seeds_of(*runs))
    assert [row[name] for name in ("asked", "completed", "failed", "interrupted", "collapsed")] == [4, 2, 1, 1, 1]
    collapsed = GOLD.count(1) / 200
    assert (row["minimum"], row["maximum"]) == (collapsed, 0.9)
    assert row["mean"] == pytest.approx((0.9 + collapsed) / 2)
    assert row["spread"] == pytest.approx((0.9 - collapsed) / 2**0.5)


def test_a_model_of_which_every_seed_failed_has_a_row_of_its_own(tmp_path: Path) -> None:
    row = the(seeds_of(publish(tmp_path, a_record(status=Status.failed, failure=Failure("stopped")))))
    assert (row["asked"], row["failed"], row["mean"]) == (1, 1, None)


def test_trials_are_no_seeds(tmp_path: Path) -> None:
    assert seeds_of(publish(tmp_path, a_record("minilm", "recipe.max_steps=2"))) == []
