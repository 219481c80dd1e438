from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import LABELS, a_record, analysis, answers, examples, publish_many, row_with, table_rows, wrong_at
from factories import MANY_GOLD as GOLD

from benchmark.analysis.inference import wilson_interval
from benchmark.data.report import Overlap
from benchmark.interface import NO_LABEL, Predictions
from benchmark.report.figures import FIGURES
from benchmark.report.run_figures import RUN_FIGURES
from benchmark.report.tables import TABLES
from benchmark.results import store as records
from benchmark.results.record import RunRecord
from benchmark.results.store import Run


def rows(table: str, *runs: Run) -> list[dict[str, Any]]:
    return table_rows(table, *runs)


def overlapping(record: RunRecord, ids: list[str], conflicting: list[str]) -> RunRecord:
    assert record.data is not None
    other = Overlap("validation", "test", ["validation-1"], ["validation-1"])
    overlap = Overlap("test", "train", ids, conflicting)
    return replace(record, data=replace(record.data, overlaps=[overlap, other]))


def test_each_view_of_the_test_split_leaves_its_rows_out(tmp_path: Path) -> None:
    record = overlapping(a_record(), ["test-0", "test-1", "test-9"], ["test-0", "test-9"])
    found = rows("test_views", publish_many(tmp_path, record, wrong_at([0, 9, 30])))
    assert [(row["view"], row["rows"], row["accuracy"]) for row in found] == [
        ("official", 200, 197 / 200),
        ("without texts that occur in train", 197, 196 / 197),
        ("without conflicting duplicates", 198, 197 / 198),
    ]
    interval = wilson_interval(196, 197)
    assert (found[1]["low"], found[1]["high"]) == (interval.low, interval.high)


def test_without_overlaps_every_view_is_the_official_one(tmp_path: Path) -> None:
    found = rows("test_views", publish_many(tmp_path, overlapping(a_record(), [], []), wrong_at([0])))
    assert {(row["rows"], row["accuracy"]) for row in found} == {(200, 199 / 200)}


def test_the_most_confident_answers_are_scored_alone(tmp_path: Path) -> None:
    predicted = wrong_at(range(150, 200))
    confidence = np.linspace(0.99, 0.5, 200)  # falling: the surest 150 are right
    probabilities = np.repeat((1 - confidence)[:, None] / 5, 6, axis=1).astype(np.float32)
    probabilities[np.arange(200), predicted] = confidence
    content = records.encode_predictions(examples(GOLD), Predictions(probabilities, np.array(predicted)), LABELS)
    run = records.write(tmp_path, replace(a_record(), predicted_rows=200), content)
    row = row_with(rows("selective", run))
    shares = {100: 150 / 200, 90: 150 / 180, 80: 150 / 160, 70: 1.0, 50: 1.0}
    assert {share: row[f"coverage_{share}"] for share in shares} == pytest.approx(shares)
    assert 0 < row["expected_calibration_error"] < 1


def test_the_most_confused_labels_come_first_with_their_share(tmp_path: Path) -> None:
    predicted = list(GOLD)
    for row in (0, 6, 12):  # sadness
        predicted[row] = 1
    predicted[1] = NO_LABEL  # joy
    found = rows("confused_pairs", publish_many(tmp_path, a_record(), predicted))
    assert [(row["gold"], row["predicted"], row["texts"]) for row in found] == [
        ("sadness", "joy", 3),
        ("joy", "no label", 1),
    ]
    assert found[0]["share"] == pytest.approx(3 / GOLD.count(0))


def test_confusions_are_means_over_seeds(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(seed=seed), wrong_at(range(0, 6 * end, 6))) for seed, end in enumerate((1, 4))
    ]
    assert row_with(rows("confused_pairs", *runs))["texts"] == 2.5


def test_hard_items_are_wrong_for_every_seed_of_every_configuration(tmp_path: Path) -> None:
    other = wrong_at([3, 4, 5])
    other[4] = (GOLD[4] + 2) % 6
    runs = [
        publish_many(tmp_path, a_record("minilm", seed=0), wrong_at([3, 4, 5, 6])),
        publish_many(tmp_path, a_record("minilm", seed=1), wrong_at([3, 4, 7])),
        publish_many(tmp_path, a_record("tfidf"), other),
        publish_many(tmp_path, a_record("majority"), [3] * 200),  # right on test-3, but by saying so of everything
    ]
    assert rows("hard_items", *runs) == [
        {"id": "test-3", "gold": "anger", "predicted": "fear", "agreement": 1.0, "runs": 3},
        {"id": "test-4", "gold": "fear", "predicted": "surprise", "agreement": 2 / 3, "runs": 3},
    ]


def test_one_configuration_alone_finds_no_item_hard(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record("minilm", seed=0), wrong_at([3])),
        publish_many(tmp_path, a_record("minilm", seed=1), wrong_at([3])),
        publish_many(tmp_path, a_record("majority"), [0] * 200),
    ]
    assert rows("hard_items", *runs) == []


def test_no_table_holds_a_text(tmp_path: Path) -> None:
    test = examples(GOLD)
    texts = replace(test, texts=tuple(f"secret {row}" for row in range(200)))
    content = records.encode_predictions(texts, answers(wrong_at([3])), LABELS)
    runs = [
        records.write(tmp_path, replace(a_record(model), predicted_rows=200), content) for model in ("tfidf", "minilm")
    ]
    for table in TABLES.values():
        assert "secret" not in table.csv(table.data(analysis(*runs)))


def test_free_answers_have_no_confidence(tmp_path: Path) -> None:
    free = publish_free_answers(tmp_path, a_record("external"), wrong_at(range(20)))
    (row,) = rows("selective", free)
    assert (row["coverage_100"], row["coverage_50"], row["expected_calibration_error"]) == (0.9, None, None)
    assert not free.predictions.graded
    assert FIGURES["calibration"].draw(analysis(free)) is None
    assert RUN_FIGURES["reliability"](free) is None


def publish_free_answers(results_dir: Path, record: RunRecord, predicted: list[int]) -> Run:
    words = [LABELS[label] for label in predicted]
    content = records.encode_predictions(examples(GOLD), Predictions.from_answers(words, LABELS), LABELS)
    return records.write(results_dir, replace(record, predicted_rows=len(predicted)), content)


def test_one_probability_below_1_is_a_confidence() -> None:
    predictions = Predictions(np.array([[1, 0], [0.9, 0.1]], dtype=np.float32), np.array([0, 0]), ("a", "a"))
    assert predictions.graded
    assert not Predictions.from_answers(["nothing", "at all"], ["a", "b"]).graded
