"""Training on one data set and testing on another with the same labels, or some of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.config import digest_of
from benchmark.configuration.compose import compose
from benchmark.configuration.published import published_overrides, spec_of
from benchmark.data.load import load
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError

TRAINED = "a;sad\nb;joy\nc;sad\nd;joy\n"
TESTED = "one;glad\ntwo;calm\nthree;Sad\nfour;glad\n"


@pytest.fixture
def transfer(tmp_path: Path) -> DatasetConfig:
    for name, test in (("trained", "x;joy\n"), ("tested", TESTED)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.txt").write_text(TRAINED if name == "trained" else TESTED)
        (tmp_path / name / "test.txt").write_text(test)
    tested = DatasetConfig("tested", ["calm", "glad", "Sad"], path=str(tmp_path / "tested"))
    return DatasetConfig("trained", ["sad", "joy"], path=str(tmp_path / "trained"), test=tested)


@pytest.mark.parametrize(
    ("mapping", "ids", "labels"),
    [
        (None, ("test-2",), [0]),
        ({"glad": "joy", "Sad": "sad"}, ("test-0", "test-2", "test-3"), [1, 0, 1]),
        ({"calm": "joy", "glad": "joy"}, ("test-0", "test-1", "test-3"), [1, 1, 1]),
    ],
)
def test_test_rows_have_the_labels_that_both_data_sets_have_or_that_are_mapped(
    mapping: dict[str, str] | None, ids: tuple[str, ...], labels: list[int], transfer: DatasetConfig
) -> None:
    splits = load(replace(transfer, test_labels=mapping))
    assert (splits.test.ids, splits.test.labels.tolist()) == (ids, labels)
    assert sorted(splits.train.texts + splits.validation.texts) == ["a", "b", "c", "d"]
    assert any(note.startswith(f"Trained on trained, tested on {len(ids)} of 4") for note in splits.report.notes)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"happy": "joy"}, "'happy', which is not a label of tested"),
        ({"glad": "happy"}, "'happy', which is not a label of trained"),
        ({}, "none of the labels of trained"),
    ],
)
def test_labels_of_neither_data_set_are_refused(mapping: dict[str, str], problem: str, transfer: DatasetConfig) -> None:
    with pytest.raises(BenchmarkError) as error:
        load(replace(transfer, test_labels=mapping))
    assert problem in error.value.problem


def test_options_without_effect_are_refused(transfer: DatasetConfig) -> None:
    assert transfer.test is not None
    with pytest.raises(BenchmarkError) as error:
        replace(transfer, test=replace(transfer.test, test_rows=3))
    assert error.value.problem == "dataset.test.test_rows is 3."
    with pytest.raises(BenchmarkError):
        replace(transfer, test=None, test_labels={"glad": "joy"})


def test_the_digest_and_the_names_cover_both_data_sets(tmp_path: Path) -> None:
    """Only the second data set's instruction and place do not matter."""
    common = ["model=tfidf", "dataset=emotion"]
    plain = compose(common)
    runs = [compose([*common, f"dataset.test={name}"]) for name in ("tweet_emotion", "goemotions")]
    mapped = compose([*common, "dataset.test=goemotions", "dataset.test_labels={joy: joy}"])
    moved = compose([*common, "dataset.test=goemotions", "dataset.test.path=/elsewhere"])
    digests = [digest_of(spec_of(run).as_json(), {}) for run in (plain, *runs, mapped, moved)]
    assert len(set(digests)) == 4
    assert digests[2] == digests[4]
    assert spec_of(runs[0]).dataset.title == "emotion-to-tweet_emotion"
    assert type(spec_of(moved)).from_json(spec_of(moved).as_json()) == spec_of(moved)
    overrides = ["dataset@dataset.test=goemotions", "dataset.test.path=/elsewhere"]
    assert published_overrides(moved, overrides) == ["dataset.test=goemotions"]
