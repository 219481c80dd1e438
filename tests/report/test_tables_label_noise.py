from dataclasses import replace
from pathlib import Path

from factories import MANY_GOLD, a_record, publish_many, row_with, table_rows, wrong_at

from benchmark.analysis.inference import wilson_interval
from benchmark.data.report import Overlap
from benchmark.results.record import RunRecord

ALL, MOST, DUPLICATES, STRONG = "all_runs_agree", "most_runs_agree", "two_labels", "strong"


def conflicting(record: RunRecord, *ids: str) -> RunRecord:
    assert record.data is not None
    return replace(record, data=replace(record.data, overlaps=[Overlap("test", "train", [*ids], [*ids])]))


def test_labels_are_doubted_where_good_models_agree_or_the_text_has_two_labels(tmp_path: Path) -> None:
    other = wrong_at([3, 4, 5])
    other[5] = (MANY_GOLD[5] + 2) % 6  # wrong, but not with the same label
    runs = [
        publish_many(tmp_path, conflicting(a_record("minilm", seed=0), "test-4", "test-9"), wrong_at([3, 4, 5, 6])),
        publish_many(tmp_path, conflicting(a_record("minilm", seed=1), "test-4", "test-9"), wrong_at([3, 4, 5, 7])),
        publish_many(tmp_path, conflicting(a_record("bert_base"), "test-4", "test-9"), other),
        publish_many(tmp_path, a_record("tfidf"), wrong_at(range(100, 200))),  # significantly worse
        publish_many(tmp_path, a_record("majority"), [3] * 200),
    ]
    rows = table_rows("label_noise", *runs)
    found = {row["criterion"]: row["texts"] for row in rows}
    assert (found[ALL], found[MOST], found[DUPLICATES], found[STRONG]) == (2, 3, 2, 3)
    row, interval = row_with(rows, criterion=STRONG), wilson_interval(3, 200)
    assert (row["fewest"], row["most"], row["runs"]) == (round(200 * interval.low), round(200 * interval.high), 3)
    assert (row["share"], row["best_accuracy"]) == (3 / 200, 1 - 3 / 200)


def test_one_good_model_is_not_enough_to_doubt_labels(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at([3])) for seed in (0, 1)]
    assert table_rows("label_noise", *runs, publish_many(tmp_path, a_record("tfidf"), wrong_at(range(99)))) == []


def test_half_of_the_runs_are_not_most_of_them(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record(model), wrong_at([row])) for row, model in enumerate(("minilm", "tfidf"))]
    rows = table_rows("label_noise", *runs)
    assert (row_with(rows, criterion=MOST)["texts"], rows[0]["runs"]) == (0, 2)


def test_a_constant_prediction_is_no_good_model(tmp_path: Path) -> None:
    gold = [3] * 199 + [0]
    better = publish_many(tmp_path, a_record("minilm"), gold, gold)
    constant = publish_many(tmp_path, a_record("majority"), [3] * 200, gold)
    assert table_rows("label_noise", better, constant) == []
    assert table_rows("label_noise", better, publish_many(tmp_path, a_record("tfidf"), gold, gold)) != []
