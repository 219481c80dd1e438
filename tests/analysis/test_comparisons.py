from pathlib import Path

import numpy as np
import pytest
from factories import MANY_GOLD as GOLD
from factories import a_record, evidence, publish, told, wrong_at

from benchmark.analysis.comparisons import Comparison, fields
from benchmark.analysis.frontier import offers
from benchmark.analysis.paired import combined, detectable_difference, holm, mcnemar
from benchmark.results.store import Run


def compared(*runs: Run) -> list[Comparison]:
    (field,) = fields(evidence(*runs))
    return field.comparisons


def test_a_comparison_counts_what_only_one_of_both_gets_right(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, a_record("tfidf"), wrong_at(range(5, 45))),
        told(tmp_path, a_record("minilm"), wrong_at(range(10))),
    ]
    (pair,) = compared(*runs)
    assert (pair.better.first.model, pair.other.first.model) == ("minilm", "tfidf")
    assert (pair.wins, pair.losses, pair.pairs) == (35, 5, 1)
    assert pair.difference == pytest.approx(0.15)
    assert pair.interval.low < 0.15 < pair.interval.high
    assert pair.p == pair.adjusted_p == mcnemar(35, 5)
    assert pair.detectable == detectable_difference(200, 40 / 200)  # of one pair nothing is corrected
    assert pair.differs


def test_what_could_be_found_is_corrected_for_all_pairs(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 42, "tfidf": 62}
    (first, *_) = compared(*(told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()))
    assert first.detectable is not None
    assert first.detectable == detectable_difference(200, 40 / 200, alpha=0.05 / 3)


def test_what_could_be_found_is_corrected_for_pairs_of_seeds(tmp_path: Path) -> None:
    better = [told(tmp_path, a_record("minilm", seed=seed), wrong_at(range(2))) for seed in (0, 1, 2)]
    (pair,) = compared(*better, told(tmp_path, a_record("tfidf"), wrong_at(range(42))))
    assert pair.pairs == 3
    assert pair.detectable == detectable_difference(200, 40 / 200, alpha=0.05 / 1.5)  # 3/2 times the second of three


def test_every_pair_of_seeds_has_its_say(tmp_path: Path) -> None:
    better = [range(4), range(2, 8), range(3)]
    worse = [range(20), range(10, 40)]
    runs = [told(tmp_path, a_record("minilm", seed=s), wrong_at(rows)) for s, rows in enumerate(better)]
    runs += [told(tmp_path, a_record("tfidf", seed=s), wrong_at(rows)) for s, rows in enumerate(worse)]
    (pair,) = compared(*runs)
    counts = [(len({*w} - {*b}), len({*b} - {*w})) for b in better for w in worse]
    assert pair.pairs == 6
    assert (pair.wins, pair.losses) == pytest.approx(tuple(np.mean(counts, axis=0)))
    assert pair.p == pytest.approx(combined([mcnemar(*count) for count in counts]))
    assert pair.difference == pytest.approx((pair.wins - pair.losses) / 200)


def test_all_pairs_are_corrected_together(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 9, "tfidf": 16}
    pairs = compared(*(told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()))
    assert [pair.p for pair in pairs] == [mcnemar(7, 0), mcnemar(14, 0), mcnemar(7, 0)]
    assert [pair.adjusted_p for pair in pairs] == pytest.approx(holm([pair.p for pair in pairs]))


def test_ties_do_not_carry_over_from_one_pair_to_the_next(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 7, "tfidf": 12}
    runs = [told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()]
    (field,) = fields(evidence(*runs))
    assert [pair.differs for pair in field.comparisons] == [False, True, False]
    assert field.groups == [(0, 1), (1, 2)]


def test_seeds_that_swing_more_than_the_models_differ_make_a_tie(tmp_path: Path) -> None:
    runs = [told(tmp_path, a_record("minilm", seed=s), wrong_at(range(end))) for s, end in enumerate((0, 0, 0, 199))]
    runs += [told(tmp_path, a_record("tfidf"), wrong_at(range(70)))]
    (pair,) = compared(*runs)
    assert pair.adjusted_p < 0.001  # most pairs of seeds agree that one is better
    assert pair.interval.low < 0
    assert not pair.differs


def test_other_test_texts_are_another_field(tmp_path: Path) -> None:
    gold = (*GOLD[:-1], 0)
    runs = [
        told(tmp_path, a_record("minilm"), wrong_at(range(3))),
        told(tmp_path, a_record("tfidf"), wrong_at(range(9))),
        told(tmp_path, a_record("bert_base", test_sha256="d" * 64), wrong_at(range(9), gold), gold),
        told(tmp_path, a_record("roberta_base", test_sha256="e" * 64), wrong_at(range(9), GOLD[:100]), GOLD[:100]),
    ]
    found = fields(evidence(*runs))
    assert [len(field.variants) for field in found] == [2, 1, 1]
    assert [len(field.comparisons) for field in found] == [1, 0, 0]


def test_only_results_are_compared(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("minilm")),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=10")),
        publish(tmp_path, a_record("tfidf", dataset="synthetic")),
    ]
    assert compared(*runs) == []


def test_a_comparison_does_not_depend_on_who_else_was_there(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, a_record(m, seed=s), wrong_at(range(s, e)))
        for m, e in (("minilm", 9), ("tfidf", 30))
        for s in (0, 1)
    ]
    (alone,) = compared(*runs)
    among = compared(*runs, told(tmp_path, a_record("bert_base"), wrong_at(range(5))))
    (same,) = [pair for pair in among if (pair.better.first.model, pair.other.first.model) == ("minilm", "tfidf")]
    assert (alone.interval, alone.p) == (same.interval, same.p)


def test_other_texts_with_the_same_labels_are_another_test_set(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, a_record("tfidf"), GOLD),
        told(tmp_path, a_record("minilm"), GOLD),
        told(tmp_path, a_record("minilm", test_sha256="d" * 64), GOLD),
    ]
    assert [len(field.variants) for field in fields(evidence(*runs))] == [2, 1]
    assert len(offers(evidence(*runs))) == 2  # costs are set against each other on one test set
