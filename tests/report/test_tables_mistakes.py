from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import (
    LABELS,
    MANY_GOLD,
    a_record,
    publish,
    publish_confident,
    publish_many,
    table_rows,
    wrong_at,
)

from benchmark.analysis.inference import wilson_interval
from benchmark.analysis.metrics import accuracy_at_coverage
from benchmark.data.report import Overlap
from benchmark.interface import NO_LABEL
from benchmark.results.record import RunRecord, Status


def overlapping(ids: list[str], conflicting: list[str]) -> RunRecord:
    """A record with these test texts in train, and others in validation."""
    record = a_record()
    assert record.data is not None
    others = [
        Overlap("validation", "test", ["validation-1"], ["validation-1"]),
        Overlap("test", "validation", ["test-5"], []),
    ]
    return replace(record, data=replace(record.data, overlaps=[Overlap("test", "train", ids, conflicting), *others]))


def test_scores_by_label_are_means_over_seeds(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(seed=seed), wrong_at(range(0, 6 * end, 6))) for seed, end in ((0, 1), (1, 4))
    ]
    rows = table_rows("per_class", *runs)
    assert [row["label"] for row in rows] == list(LABELS)
    assert [row["support"] for row in rows] == [34, 34, 33, 33, 33, 33]
    sadness, joy = rows[0], rows[1]  # sadness is taken for joy
    assert sadness["recall"] == pytest.approx((33 / 34 + 30 / 34) / 2)
    assert (sadness["precision_score"], joy["recall"]) == (1, 1)
    assert joy["precision_score"] == pytest.approx((34 / 35 + 34 / 38) / 2)
    assert joy["f1"] == pytest.approx((2 * 34 / (34 + 35) + 2 * 34 / (34 + 38)) / 2)


def test_the_five_most_confused_pairs_are_shown_the_most_frequent_first(tmp_path: Path) -> None:
    predicted = list(MANY_GOLD)
    for gold, answer, count in ((0, 1, 6), (1, NO_LABEL, 5), (2, 3, 4), (3, 2, 3), (4, 5, 2), (5, 4, 1)):
        for row in range(gold, 6 * count, 6):
            predicted[row] = answer
    words = ["an answer"] * 200
    rows = table_rows("confused_pairs", publish(tmp_path, a_record(), predicted, words, MANY_GOLD))
    assert [(row["gold"], row["predicted"], row["texts"]) for row in rows] == [
        ("sadness", "joy", 6),
        ("joy", "no label", 5),
        ("love", "anger", 4),
        ("anger", "love", 3),
        ("fear", "surprise", 2),
    ]
    assert [row["share"] for row in rows] == pytest.approx([6 / 34, 5 / 34, 4 / 33, 3 / 33, 2 / 33])


@pytest.mark.parametrize(("first", "second", "mean"), [(1, 4, 2.5), (0, 1, 0.5)])
def test_confusions_are_means_over_seeds(first: int, second: int, mean: float, tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(seed=seed), wrong_at(range(0, 6 * wrong, 6)))
        for seed, wrong in enumerate((first, second))
    ]
    (row,) = table_rows("confused_pairs", *runs)
    assert (row["texts"], row["share"]) == (mean, mean / 34)


def test_each_part_of_the_test_split_leaves_its_rows_out(tmp_path: Path) -> None:
    record = overlapping(["test-0", "test-1", "test-9"], ["test-0", "test-9"])
    rows = table_rows("test_views", publish_many(tmp_path, record, wrong_at([0, 9, 30])))
    assert [(row["view"], row["rows"], row["accuracy"]) for row in rows] == [
        ("official", 200, 197 / 200),
        ("without texts that occur in train", 197, 196 / 197),
        ("without conflicting duplicates", 198, 197 / 198),
    ]
    interval = wilson_interval(196, 197)
    assert (rows[1]["low"], rows[1]["high"], rows[1]["seeds"]) == (interval.low, interval.high, 1)


def test_two_parts_with_the_same_texts_are_one(tmp_path: Path) -> None:
    record = overlapping(["test-0", "test-9"], ["test-0", "test-9"])
    rows = table_rows("test_views", publish_many(tmp_path, record, wrong_at([0, 9, 30])))
    part = "without 2 texts that occur in train, all with another label"
    assert [(row["view"], row["rows"]) for row in rows] == [("official", 200), (part, 198)]


def test_a_part_without_rows_is_not_shown(tmp_path: Path) -> None:
    every = [f"test-{row}" for row in range(200)]
    rows = table_rows("test_views", publish_many(tmp_path, overlapping(every, []), wrong_at([0])))
    assert [(row["view"], row["rows"]) for row in rows] == [("official", 200), ("without conflicting duplicates", 200)]


def test_the_most_confident_answers_are_scored_alone(tmp_path: Path) -> None:
    confidence = np.linspace(0.99, 0.5, 200).tolist()  # falling: the first 150 rows, which are right, are the surest
    runs = [
        publish_confident(tmp_path, a_record(seed=0), wrong_at(range(150, 200)), confidence),
        publish_confident(tmp_path, a_record(seed=1), wrong_at(range(120, 200)), confidence),
    ]
    (row,) = table_rows("selective", *runs)
    expected = {100: (150 + 120) / 400, 90: (150 + 120) / 360, 80: (150 + 120) / 320, 70: (1 + 120 / 140) / 2, 50: 1.0}
    assert {share: row[f"coverage_{share}"] for share in expected} == pytest.approx(expected)
    seeds = [np.arange(200) < right for right in (150, 120)]
    assert accuracy_at_coverage(seeds[0], np.float32(confidence), 0.9) == 150 / 180


def test_free_answers_have_no_confidence(tmp_path: Path) -> None:
    predicted = wrong_at(range(20))
    (row,) = table_rows("selective", publish(tmp_path, a_record("external"), predicted, ["word"] * 200, MANY_GOLD))
    assert row["coverage_100"] == 0.9
    assert {row[name] for name in ("coverage_90", "coverage_50")} == {None}


def test_hard_items_are_wrong_for_every_seed_of_every_configuration(tmp_path: Path) -> None:
    other = wrong_at([3, 4, 5])
    other[3] = (MANY_GOLD[3] + 2) % 6
    runs = [
        publish_many(tmp_path, a_record("minilm", seed=0), wrong_at([3, 4, 5, 6])),
        publish_many(tmp_path, a_record("minilm", seed=1), wrong_at([3, 4, 7])),
        publish_many(tmp_path, a_record("tfidf"), other),
        publish_many(tmp_path, a_record("bert_base"), wrong_at([3, 4, 5])),
        publish_many(tmp_path, a_record("majority"), [3] * 200),  # right on test-3
        publish(tmp_path, a_record("bert_large", status=Status.failed)),
    ]
    assert table_rows("hard_items", *runs) == [
        {"id": "test-4", "gold": "fear", "predicted": "surprise", "agreement": 1.0, "runs": 4},
        {"id": "test-3", "gold": "anger", "predicted": "fear", "agreement": 3 / 4, "runs": 4},
    ]


def test_hard_items_need_three_models_that_predict_several_labels(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at([3])) for seed in (0, 1)]
    runs.append(publish_many(tmp_path, a_record("minilm", "recipe.epochs=9"), wrong_at([3])))
    runs.append(publish_many(tmp_path, a_record("majority"), [0] * 200))
    runs.append(publish_many(tmp_path, a_record("tfidf"), wrong_at([3])))
    assert table_rows("hard_items", *runs) == []
    assert len(table_rows("hard_items", *runs, publish_many(tmp_path, a_record("bert_base"), wrong_at([3])))) == 1
