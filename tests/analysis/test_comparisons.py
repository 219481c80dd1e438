from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import MANY_GOLD, a_record, analysis_of, publish, publish_many, row_with, rows_of, wrong_at

from benchmark.analysis import comparisons, study
from benchmark.analysis.inference import combine_p_values, detectable_difference, holm, mcnemar
from benchmark.results.store import Run


def errors(folder: Path, **wrong: int) -> list[Run]:
    """One run per model with so many errors of 200, on the first texts."""
    return [publish_many(folder, a_record(model), wrong_at(range(count))) for model, count in wrong.items()]


def pairs(*runs: Run) -> list[dict[str, Any]]:
    """The comparisons, with models' names in place of configuration ids."""
    analysis = analysis_of(*runs)
    model = dict(zip(analysis.configurations["configuration"], analysis.configurations["model"], strict=True))
    rows = rows_of(analysis.comparisons)
    return [{**row, "better": model[row["better"]], "other": model[row["other"]]} for row in rows]


def test_a_comparison_counts_what_only_one_of_the_two_predicts_correctly(tmp_path: Path) -> None:
    tfidf = publish_many(tmp_path, a_record("tfidf"), wrong_at(range(5, 45)))
    (pair,) = pairs(tfidf, *errors(tmp_path, minilm=10))
    assert (pair["better"], pair["other"], pair["test_sha256"]) == ("minilm", "tfidf", study.TEST_SHA256)
    assert (pair["wins"], pair["losses"], pair["seed_pairs"]) == (35, 5, 1)
    assert pair["difference"] == pytest.approx(0.15)
    assert pair["low"] < 0.15 < pair["high"]
    assert pair["p"] == pair["adjusted_p"] == mcnemar(35, 5)
    assert pair["detectable"] == detectable_difference(200, 40 / 200)
    assert pair["differs"]


def test_all_pairs_on_the_same_texts_are_corrected_together(tmp_path: Path) -> None:
    found = pairs(*errors(tmp_path, minilm=2, bert_base=42, tfidf=62))
    assert [pair["p"] for pair in found] == [mcnemar(40, 0), mcnemar(60, 0), mcnemar(20, 0)]
    assert [pair["adjusted_p"] for pair in found] == pytest.approx(holm([pair["p"] for pair in found]))
    assert found[0]["detectable"] == detectable_difference(200, 40 / 200, alpha=0.05 / 3)


def test_the_detectable_difference_is_corrected_for_pairs_of_seeds(tmp_path: Path) -> None:
    better = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(2))) for seed in (0, 1, 2)]
    (pair,) = pairs(*better, *errors(tmp_path, tfidf=42))
    assert pair["seed_pairs"] == 3
    assert pair["detectable"] == detectable_difference(200, 40 / 200, alpha=0.05 / 1.5)


def test_every_pair_of_seeds_is_compared(tmp_path: Path) -> None:
    better, worse = [range(4), range(2, 8), range(3)], [range(20), range(10, 40)]
    runs = [publish_many(tmp_path, a_record("minilm", seed=s), wrong_at(rows)) for s, rows in enumerate(better)]
    runs += [publish_many(tmp_path, a_record("tfidf", seed=s), wrong_at(rows)) for s, rows in enumerate(worse)]
    (pair,) = pairs(*runs)
    counts = [(len({*w} - {*b}), len({*b} - {*w})) for b in better for w in worse]
    assert pair["seed_pairs"] == 6
    assert [pair["wins"], pair["losses"]] == pytest.approx(np.mean(counts, axis=0))
    assert pair["p"] == pytest.approx(combine_p_values([mcnemar(*count) for count in counts]))
    assert pair["difference"] == pytest.approx((pair["wins"] - pair["losses"]) / 200)


@pytest.mark.parametrize(("wrong", "differs"), [(7, False), (8, True)])
def test_two_models_differ_if_the_adjusted_p_is_below_five_percent(wrong: int, differs: bool, tmp_path: Path) -> None:
    (pair,) = pairs(*errors(tmp_path, minilm=2, tfidf=wrong))
    assert (pair["low"] > 0) is differs
    assert pair["adjusted_p"] == mcnemar(wrong - 2, 0) == 2 ** (3 - wrong)
    assert pair["differs"] is differs


def test_seeds_that_vary_more_than_the_models_differ_make_a_tie(tmp_path: Path) -> None:
    ends = enumerate((0, 0, 0, 199))
    runs = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(end))) for seed, end in ends]
    (pair,) = pairs(*runs, *errors(tmp_path, tfidf=70))
    assert pair["adjusted_p"] < 0.001  # most pairs of seeds agree that one is better
    assert pair["low"] < 0
    assert not pair["differs"]


def test_groups_of_tied_models_are_of_one_test_set(tmp_path: Path) -> None:
    runs = errors(tmp_path, minilm=2, bert_base=7, tfidf=12)
    elsewhere = [
        publish_many(tmp_path, a_record(model, test_sha256="d" * 64), wrong_at(range(end)))
        for model, end in (("minilm", 0), ("tfidf", 60))
    ]
    analysis = analysis_of(*runs, *elsewhere)
    large, small = comparisons.by_test_texts(analysis.configurations)
    assert [pair["differs"] for pair in rows_of(analysis.comparisons)] == [False, True, False, True]
    assert comparisons.tied_groups(large, analysis.comparisons) == [(0, 1), (1, 2)]
    assert comparisons.tied_groups(small, analysis.comparisons) == [(0,), (1,)]


def test_only_predictions_of_the_same_texts_are_compared_the_largest_group_first(tmp_path: Path) -> None:
    alone = publish(tmp_path, a_record("bert_base", test_sha256="d" * 64), MANY_GOLD[:50], gold=MANY_GOLD[:50])
    analysis = analysis_of(alone, *errors(tmp_path, tfidf=9, minilm=3))
    assert [comparable["model"].tolist() for comparable in comparisons.by_test_texts(analysis.configurations)] == [
        ["minilm", "tfidf"],
        ["bert_base"],
    ]
    assert len(analysis.comparisons) == 1


def test_only_results_are_compared(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("minilm")),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=10")),
        publish(tmp_path, a_record("tfidf", dataset="synthetic")),
    ]
    assert pairs(*runs) == []
    assert list(analysis_of(*runs).comparisons.columns) == list(comparisons.COLUMNS)


def test_a_comparison_does_not_depend_on_the_other_models(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(model, seed=seed), wrong_at(range(seed, end)))
        for model, end in (("minilm", 9), ("tfidf", 30))
        for seed in (0, 1)
    ]
    (alone,) = pairs(*runs)
    among = row_with(pairs(*runs, *errors(tmp_path, bert_base=5)), better="minilm", other="tfidf")
    same = ["low", "high", "p", "wins", "losses", "difference"]
    assert [alone[column] for column in same] == [among[column] for column in same]


def test_groups_without_pairs_is_one_per_configuration(tmp_path: Path) -> None:
    analysis = analysis_of(*errors(tmp_path, minilm=1))
    (comparable,) = comparisons.by_test_texts(analysis.configurations)
    assert comparisons.tied_groups(comparable, pd.DataFrame(columns=comparisons.COLUMNS)) == [(0,)]
