"""Files of other forms than one table with a header, and the shipped data sets in their original files."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from shipped_configurations import changed

from benchmark.data.folder import read_folder
from benchmark.data.load import load, resolve_labels
from benchmark.dataset_config import DatasetConfig, Files
from benchmark.errors import BenchmarkError

LABELS = ["bad", "good"]
PAIR = {
    "train_text.txt": "poor \nfine\t\nwell; done\nworse\n",
    "train_labels.txt": "0\n1\n1\n0\n",
    "test_text.txt": "so so\n",
    "test_labels.txt": "1\n",
    "mapping.txt": "0\tbad\n1\tgood",
}
TABLE = {
    "train.tsv": 'poor\t0\ta\n"fine\t1\tb\nboth\t0,1\tc\nwell\t1\td\nworse\t0\te\n',
    "test.tsv": "so so\t1\tf\n",
    "labels.txt": "bad\ngood\n",
}
NAMED = {"files": Files(label_names="mapping.txt")}
TABLE_FILES = Files(columns=["text", "label", "id"], label_separator=",", label_names="labels.txt")
Write = Callable[..., DatasetConfig]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(files: dict[str, str], /, **options: Any) -> DatasetConfig:
        for name, content in files.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        return DatasetConfig("mine", LABELS, path=str(tmp_path), **options)

    return write


def refusal(config: DatasetConfig) -> BenchmarkError:
    with pytest.raises(BenchmarkError) as error:
        load(config)
    return error.value


def all_rows(config: DatasetConfig) -> list[tuple[str, str]]:
    """The training and validation rows in the order of the file."""
    splits = load(config)
    parts = [(splits.train, index) for index in range(len(splits.train))]
    parts += [(splits.validation, index) for index in range(len(splits.validation))]
    rows = [(int(part.ids[i].removeprefix("train-")), part.texts[i], LABELS[part.labels[i]]) for part, i in parts]
    return [row[1:] for row in sorted(rows)]


def test_texts_and_labels_may_be_lines_of_two_files(write: Write) -> None:
    expected = [("poor", "bad"), ("fine", "good"), ("well; done", "good"), ("worse", "bad")]
    assert all_rows(write(PAIR, **NAMED)) == expected
    swapped = write({**PAIR, "mapping.txt": "good\nbad"}, **NAMED)
    assert [label for _, label in all_rows(swapped)] == ["good", "bad", "bad", "good"]


def test_tables_may_have_no_header_and_several_labels_in_a_row(write: Write) -> None:
    config = write(TABLE, files=TABLE_FILES, skip_multilabel=True)
    assert all_rows(config) == [("poor", "bad"), ('"fine', "good"), ("well", "good"), ("worse", "bad")]
    assert load(config).report.notes[0] == "1 of 5 train rows have several labels and are left out."


@pytest.mark.parametrize("form", [str, int])
def test_ids_in_lists_are_read_by_the_names_in_the_file(form: Callable[[int], Any], write: Write) -> None:
    rows = [{"text": text, "label": [form(label)]} for label, text in enumerate(["good text", "bad text"])]
    files = {f"{split}.json": json.dumps(rows) for split in ("train", "validation", "test")}
    named = {**files, "mapping.txt": "good\nbad\n"}  # the other way round than dataset.labels
    assert load(write(named, **NAMED)).test.labels.tolist() == [1, 0]
    assert "label_names: mapping.txt" in str(refusal(write(named)).fix)


def test_a_label_of_too_many_digits_is_refused(write: Write) -> None:
    error = refusal(write({**PAIR, "train_labels.txt": "0\n{}\n1\n0\n".format("1" * 5000)}, **NAMED))
    assert "row 2 and train_labels.txt: label" in error.problem


def test_a_column_of_labels_may_have_another_name_in_the_files(write: Write) -> None:
    csv = "text,category\npoor,bad\nfine,good\nwell,good\nworse,bad\n"
    config = write({"train.csv": csv, "test.csv": csv}, files=Files(label_column="category"))
    assert all_rows(config)[0] == ("poor", "bad")


@pytest.mark.parametrize(
    ("options", "option"),
    [({}, "dataset.label_column"), ({"files": Files(label_column="category")}, "dataset.files.label_column")],
)
def test_the_fix_for_a_missing_column_names_the_option_that_decides(
    options: dict[str, Any], option: str, write: Write
) -> None:
    csv = "text,kind\npoor,bad\n"
    assert refusal(write({"train.csv": csv, "test.csv": csv}, **options)).fix == f"Rename a column or set {option}."


def test_labels_that_nobody_named_are_those_of_the_source(write: Write) -> None:
    config = replace(write(PAIR, files=Files(label_names="mapping.txt")), labels=[])
    assert resolve_labels(config).labels == LABELS
    assert load(config).test.labels.tolist() == [1]


def test_files_that_state_the_labels_are_read_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(side_effect=read_folder)
    monkeypatch.setattr("benchmark.data.load.read_folder", read)
    assert load(replace(write(PAIR, **NAMED), labels=[])).report.splits["train"].counts.keys() == set(LABELS)
    assert read.call_count == 1


def test_labels_that_nobody_named_are_those_of_the_training_rows(write: Write) -> None:
    files = {"train.txt": "a;zen\nb;art\nc;art\nd;zen\n", "test.txt": "e;art\n"}
    assert resolve_labels(replace(write(files), labels=[])).labels == ["art", "zen"]


@pytest.mark.parametrize("label", ["1", "0.5", "nan", "", {"name": "good"}, None])
def test_labels_that_nobody_named_are_names(label: Any, write: Write) -> None:
    rows = [{"text": "a", "label": "bad"}, {"text": "b", "label": label}]
    error = refusal(replace(write({f"{split}.json": json.dumps(rows) for split in ("train", "test")}), labels=[]))
    assert error.problem.endswith(f"train.json, row 2: {label!r} is not the name of a label.")
    assert "dataset.labels" in str(error.fix)


@pytest.mark.parametrize(
    ("files", "options", "place", "fix"),
    [
        ({**PAIR, "train_labels.txt": "0\n1\n1\n"}, NAMED, "train_labels.txt, row 4", "same line"),
        ({**PAIR, "train_text.txt": "poor\n\nwell\nworse\n"}, NAMED, "train_text.txt, row 2", "remove the row"),
        ({**PAIR, "train_labels.txt": "0\n1\n2\n0\n"}, NAMED, "train_text.txt, row 3 and train_labels.txt", "Correct"),
        ({**PAIR, "train.txt": "poor;bad\n"}, {}, "train.txt, train_text.txt, train_labels.txt", "Keep one"),
        (PAIR, {}, "train_text.txt, row 1", "label_names: mapping.txt"),
        ({**PAIR, "mapping.txt": "1\tbad\n"}, NAMED, "mapping.txt, row 1", "order"),
        ({**PAIR, "mapping.txt": "0\t\n1\tgood\n"}, NAMED, "mapping.txt, row 1: the name '' is empty", "own name"),
        ({**PAIR, "mapping.txt": "0\tbad\ngood\n"}, NAMED, "mapping.txt, row 2", "on each line an id"),
        ({**PAIR, "mapping.txt": "bad\n1\tgood\n"}, NAMED, "mapping.txt, row 2", "on each line an id"),
        ({**PAIR, "mapping.txt": "a\na\n"}, NAMED, "mapping.txt, row 2", "own name"),
        ({**PAIR, "mapping.txt": "bad\n"}, NAMED, "train_text.txt, row 2", "Correct"),
        ({**PAIR, "mapping.txt": "bad\nodd\n"}, NAMED, "row 2", "dataset.labels"),
        (PAIR, {"files": Files(label_names="names.txt")}, "has no file names.txt, which", "label_names=null"),
        (TABLE, {"files": TABLE_FILES}, "train.tsv, row 3", "dataset.skip_multilabel=true"),
        (TABLE, {"files": Files(label_names="labels.txt")}, "train.tsv, header", "dataset.text_column"),
        ({**TABLE, "train.tsv": "poor\t0\n"}, {"files": TABLE_FILES}, "train.tsv, row 1", "one tab each"),
        ({**TABLE, "train.tsv": "poor\t0\ta\tb\n"}, {"files": TABLE_FILES}, "train.tsv, row 1", "tabs"),
        ({**TABLE, "train.tsv": "poor\t0,\ta\n"}, {"files": TABLE_FILES}, "train.tsv, row 1", "Remove it"),
        ({**TABLE, "train.tsv": "poor\t0,1\ta\n"}, {"files": TABLE_FILES, "skip_multilabel": True}, "row 1", "other"),
        ({"train.txt": "a;bad\n", "test.txt": "a;b"}, {"files": Files(columns=["text"])}, "train.txt", "columns=null"),
        ({**TABLE, "train.tsv": "text\tlabel\tid\n"}, {"files": TABLE_FILES}, "train.tsv, row 1", "columns=null"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_or_malformed_is_refused(
    files: dict[str, str], options: dict[str, Any], place: str, fix: str, write: Write
) -> None:
    error = refusal(write(files, **options))
    assert place in error.problem
    assert fix in str(error.fix)


def test_a_file_of_texts_needs_its_file_of_labels(write: Write) -> None:
    files = {name: content for name, content in PAIR.items() if name != "test_labels.txt"}
    assert "no file test_labels.txt" in refusal(write(files)).problem


ROWS = {"banking77": (9000, 1003, 3080), "goemotions": (36308, 4548, 4590), "tweet_emotion": (3257, 374, 1421)}


@pytest.mark.real_data
@pytest.mark.parametrize("name", ROWS)
def test_the_original_files_have_the_pinned_content(name: str) -> None:
    """Loading compares the hashes in the YAML file with the content."""
    folder = Path(os.environ["EMOTION_DATA"]).parent / name
    if not folder.is_dir():
        pytest.skip(f"put the original files into {folder}")
    config = changed(f"dataset={name}", f"dataset.path={folder}").dataset
    splits = load(config)
    assert {"train", "test"} <= set(config.sha256)
    assert tuple(len(part) for part in (splits.train, splits.validation, splits.test)) == ROWS[name]
    if name == "banking77":
        assert set(config.labels) == set(json.loads((folder / "categories.json").read_text()))
