from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import MANY_GOLD as GOLD
from factories import a_record, analysis, publish, publish_many, rows_of, wrong_at

from benchmark.analysis.comparisons import fields, groups
from benchmark.analysis.inference import combined, detectable_difference, holm, mcnemar
from benchmark.results.store import Run


def compared(*runs: Run) -> list[dict[str, Any]]:
    """The pairs, with the models in place of ids."""
    made = analysis(*runs)
    model = made.configurations.set_index("configuration")["model"]
    pairs = made.comparisons
    return rows_of(pairs.assign(better=pairs["better"].map(model), other=pairs["other"].map(model)))


def errors(folder: Path, **wrong: int) -> list[Run]:
    return [publish_many(folder, a_record(model), wrong_at(range(count))) for model, count in wrong.items()]


def test_a_comparison_counts_what_only_one_of_both_gets_right(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record("tfidf"), wrong_at(range(5, 45))),
        publish_many(tmp_path, a_record("minilm"), wrong_at(range(10))),
    ]
    (pair,) = compared(*runs)
    assert (pair["better"], pair["other"]) == ("minilm", "tfidf")
    assert (pair["wins"], pair["losses"], pair["seed_pairs"]) == (35, 5, 1)
    assert pair["difference"] == pytest.approx(0.15)
    assert pair["low"] < 0.15 < pair["high"]
    assert pair["p"] == pair["adjusted_p"] == mcnemar(35, 5)
    assert pair["detectable"] == detectable_difference(200, 40 / 200)  # nothing is corrected for one pair
    assert pair["differs"] is True


def test_the_detectable_difference_is_corrected_for_all_pairs(tmp_path: Path) -> None:
    first, *_ = compared(*errors(tmp_path, minilm=2, bert_base=42, tfidf=62))
    assert first["detectable"] == detectable_difference(200, 40 / 200, alpha=0.05 / 3)


def test_the_detectable_difference_is_corrected_for_pairs_of_seeds(tmp_path: Path) -> None:
    better = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(2))) for seed in (0, 1, 2)]
    (pair,) = compared(*better, *errors(tmp_path, tfidf=42))
    assert pair["seed_pairs"] == 3
    assert pair["detectable"] == detectable_difference(200, 40 / 200, alpha=0.05 / 1.5)  # 3/2 times the second of three


def test_every_pair_of_seeds_counts(tmp_path: Path) -> None:
    better = [range(4), range(2, 8), range(3)]
    worse = [range(20), range(10, 40)]
    runs = [publish_many(tmp_path, a_record("minilm", seed=s), wrong_at(rows)) for s, rows in enumerate(better)]
    runs += [publish_many(tmp_path, a_record("tfidf", seed=s), wrong_at(rows)) for s, rows in enumerate(worse)]
    (pair,) = compared(*runs)
    counts = [(len({*w} - {*b}), len({*b} - {*w})) for b in better for w in worse]
    assert pair["seed_pairs"] == 6
    assert (pair["wins"], pair["losses"]) == pytest.approx(tuple(np.mean(counts, axis=0)))
    assert pair["p"] == pytest.approx(combined([mcnemar(*count) for count in counts]))
    assert pair["difference"] == pytest.approx((pair["wins"] - pair["losses"]) / 200)


def test_all_pairs_are_corrected_together(tmp_path: Path) -> None:
    pairs = compared(*errors(tmp_path, minilm=2, bert_base=9, tfidf=16))
    p = [pair["p"] for pair in pairs]
    assert p == [mcnemar(7, 0), mcnemar(14, 0), mcnemar(7, 0)]
    assert [pair["adjusted_p"] for pair in pairs] == pytest.approx(holm(p))


def test_ties_are_not_transitive(tmp_path: Path) -> None:
    made = analysis(*errors(tmp_path, minilm=2, bert_base=7, tfidf=12))
    (field,) = fields(made.configurations)
    assert made.comparisons["differs"].tolist() == [False, True, False]
    assert groups(field, made.comparisons) == [(0, 1), (1, 2)]


def test_seeds_that_vary_more_than_the_models_differ_make_a_tie(tmp_path: Path) -> None:
    ends = (0, 0, 0, 199)
    runs = [publish_many(tmp_path, a_record("minilm", seed=s), wrong_at(range(end))) for s, end in enumerate(ends)]
    (pair,) = compared(*runs, *errors(tmp_path, tfidf=70))
    assert pair["adjusted_p"] < 0.001  # most pairs of seeds agree that one is better
    assert pair["low"] < 0
    assert pair["differs"] is False


def test_other_test_texts_are_another_field_and_the_largest_comes_first(tmp_path: Path) -> None:
    gold = (*GOLD[:-1], 0)
    others = {"bert_base": ("d", gold), "roberta_base": ("e", GOLD[:100]), "bert_large": ("f", GOLD)}
    runs = [
        publish_many(tmp_path, a_record(model, test_sha256=letter * 64), wrong_at(range(1), texts), texts)
        for model, (letter, texts) in others.items()
    ]
    made = analysis(*runs, *errors(tmp_path, minilm=3, tfidf=9))
    assert fields(made.configurations)[0]["model"].tolist() == ["minilm", "tfidf"]
    assert [len(field) for field in fields(made.configurations)] == [2, 1, 1, 1]
    assert len(made.comparisons) == 1


def test_only_results_are_compared(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("minilm")),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=10")),
        publish(tmp_path, a_record("tfidf", dataset="synthetic")),
    ]
    assert compared(*runs) == []


def test_a_comparison_does_not_depend_on_other_models(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(model, seed=s), wrong_at(range(s, end)))
        for model, end in (("minilm", 9), ("tfidf", 30))
        for s in (0, 1)
    ]
    (alone,) = compared(*runs)
    among = compared(*runs, *errors(tmp_path, bert_base=5))
    (same,) = [pair for pair in among if (pair["better"], pair["other"]) == ("minilm", "tfidf")]
    assert [alone[name] for name in ("low", "high", "p")] == [same[name] for name in ("low", "high", "p")]
