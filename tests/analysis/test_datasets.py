"""Runs belong to one data set if their test splits have the same content, whatever the configurations say."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from factories import GOLD, a_record, analysis_of, data_report, publish, rows_of

from benchmark.analysis import study
from benchmark.analysis.datasets import dataset_keys
from benchmark.report.tables import TABLES, all_tables
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run


def keys(*records: RunRecord) -> list[str]:
    return list(dataset_keys({str(number): record for number, record in enumerate(records)}).values())


def later(record: RunRecord) -> RunRecord:
    return replace(record, started="2027-01-01T00:00:00+00:00")


def test_the_published_test_split_is_that_of_the_configuration() -> None:
    assert a_record().config.dataset.sha256["test"] == study.TEST_SHA256


def test_the_published_content_is_the_studys_data_set_under_any_name() -> None:
    assert keys(a_record(dataset="mine", test_sha256=study.TEST_SHA256)) == ["emotion"]


@pytest.mark.parametrize("override", ["dataset.sha256={}", 'dataset.labels=["a","b"]'])
def test_other_content_is_never_the_studys_data_set(override: str) -> None:
    (key,) = keys(a_record("tfidf", override, test_sha256="d" * 64))
    assert key.startswith("emotion-")
    assert len(key) == len("emotion-") + 8


def test_labels_in_another_order_are_another_data_set() -> None:
    turned = a_record("tfidf", 'dataset.labels=["joy","sadness","love","anger","fear","surprise"]')
    assert keys(a_record(), turned)[0] == "emotion" != keys(a_record(), turned)[1]


def test_the_content_that_was_run_first_keeps_the_name() -> None:
    first, second = a_record(dataset="mine"), later(a_record(dataset="Mine", test_sha256="d" * 64))
    assert keys(first) == keys(first, second)[:1] == keys(second, first)[1:] == ["mine"]
    content = json.dumps(["d" * 64, first.labels])
    assert keys(first, second)[1] == f"Mine-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def test_a_part_of_a_test_split_belongs_to_the_data_set_of_its_declared_hash_or_of_its_other_splits() -> None:
    part = "dataset.test_rows=1"
    assert keys(a_record("tfidf", part, test_sha256="d" * 64)) == ["emotion"]
    assert keys(a_record(dataset="mine"), a_record("tfidf", part, dataset="mine", test_sha256="d" * 64)) == ["mine"] * 2
    other = replace(a_record("tfidf", part, dataset="mine"), data=data_report("d" * 64, train_rows=7))
    assert other.data is not None
    del other.data.splits["validation"]
    assert keys(a_record(dataset="mine"), other)[1].startswith("mine-")


def test_a_run_that_read_no_data_joins_the_data_set_of_its_name() -> None:
    def unread(record: RunRecord) -> RunRecord:
        return replace(record, data=None, status=Status.failed)

    assert keys(unread(a_record()), unread(a_record(dataset="mine"))) == ["emotion", "mine"]
    assert keys(unread(a_record("tfidf", "dataset.sha256={}"))) == ["emotion-not-read"]


@pytest.fixture
def mixed(tmp_path: Path) -> list[Run]:
    """Two models on the published data, and on other data that are called emotion too."""
    return [
        publish(tmp_path, a_record(model, *overrides, test_sha256=sha256), (*GOLD[:9], 0))
        for model in ("tfidf", "minilm")
        for overrides, sha256 in (((), None), (("dataset.sha256={}",), "d" * 64))
    ]


def test_no_table_holds_two_data_sets(mixed: list[Run]) -> None:
    analysis = analysis_of(*mixed)
    first, second = analysis.datasets
    assert first == "emotion"
    of = analysis.configurations.set_index("configuration")["dataset"]
    for table, data in all_tables(analysis).items():
        if table.name == "data_sets":  # it names the data set of each row
            assert list(data["dataset"]) == [of[one] for one in data["configuration"]]
            continue
        found = {name for name in ("configuration", "better_id", "other_id") if name in data}
        shown = {of[one] for name in found for one in data[name].dropna()}
        assert shown <= {table.dataset or "emotion"}, table.name
    assert {f"{name}_{second}" for name in ("pairwise", "per_class", "frontier", "ties")} <= {
        table.name for table in all_tables(analysis)
    }


def test_table3_holds_the_published_test_split_only(mixed: list[Run]) -> None:
    rows = rows_of(TABLES["table3_accuracy"].data(analysis_of(*mixed)))
    measured = [row for row in rows if row["accuracy"] is not None]
    assert [row["name"] for row in measured] == ["tfidf", "minilm"]
    assert {row["recipe"] for row in measured} == {"paper"}


def test_the_tables_of_the_study_appear_where_its_data_set_was_run(tmp_path: Path) -> None:
    own = analysis_of(publish(tmp_path, a_record(dataset="mine")))
    assert not {table.name for table in all_tables(own)} & {"table3_accuracy", "study_audit", "overview"}
    assert all_tables(analysis_of())


def test_a_leaderboard_says_that_its_data_are_only_called_emotion(mixed: list[Run]) -> None:
    notes = {table.name: table.note for table in all_tables(analysis_of(*mixed)) if "leaderboard" in table.name}
    assert [bool(note) for note in notes.values()] == [False, True]


def test_other_training_texts_are_part_of_the_name(tmp_path: Path) -> None:
    analysis = analysis_of(publish(tmp_path, a_record("tfidf", "dataset.sha256={}")))
    assert analysis.configurations["recipe"].tolist() == ["paper, hashes not checked, other training texts"]
