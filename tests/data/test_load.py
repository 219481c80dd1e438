import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoders import FORMATS, Pairs, instructions, parquet

from benchmark.config import CONF_DIR
from benchmark.configuration.compose import compose
from benchmark.data.checks import content_sha256
from benchmark.data.load import Splits, load
from benchmark.data.report import DataReport
from benchmark.dataset_config import DatasetConfig, RowChoice
from benchmark.errors import BenchmarkError

LABELS = ["sadness", "joy", "love"]
TRAIN = "".join(f"text {number};{label}\n" for number in range(20) for label in LABELS[: 1 + (number < 10)])
VALIDATION = "v one;joy\nv two;sadness\n"
NO_LOVE = [f"No {split} row has the label love." for split in ("train", "validation")]
TEST = "t one;joy\nt two;love\nt three;sadness\n"
COMPLETE = {"train.txt": TRAIN, "validation.txt": VALIDATION, "test.txt": TEST}


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


Folder = Callable[[dict[str, str]], DatasetConfig]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A data set of these files."""

    def write(files: dict[str, str]) -> DatasetConfig:
        for name, content in files.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        return DatasetConfig(name="mine", labels=LABELS, path=str(tmp_path))

    return write


def json_lines(*rows: tuple[Any, Any]) -> str:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)


def refusal(config: DatasetConfig) -> str:
    with pytest.raises(BenchmarkError) as error:
        load(config)
    return str(error.value)


def test_splits_keep_order_labels_and_ids(folder: Folder) -> None:
    splits = load(folder(COMPLETE))
    assert splits.test.texts == ("t one", "t two", "t three")
    assert splits.test.labels.tolist() == [1, 2, 0]
    assert splits.test.ids == ("test-0", "test-1", "test-2")
    assert splits.report.splits["test"].counts == {"sadness": 1, "joy": 1, "love": 1}
    assert splits.report.splits["test"].words == 2
    assert splits.report.splits["train"].rows == len(splits.train) == 30
    assert splits.report.route == "local files (.txt)"
    assert splits.report.notes == NO_LOVE
    assert splits.report.carved_rows == 0


def test_a_missing_validation_split_is_taken_from_train_stratified_and_noted(folder: Folder) -> None:
    config = replace(folder({"train.txt": TRAIN, "test.txt": TEST}), validation_share=0.2)
    splits = load(config)
    assert Counter(splits.validation.labels.tolist()) == {0: 4, 1: 2}  # a fifth of 20 and of 10
    assert Counter(splits.train.labels.tolist()) == {0: 16, 1: 8}
    assert splits.report.carved_rows == 6
    note, *missing = splits.report.notes
    assert sorted(missing) == NO_LOVE
    assert "6 training rows" in note
    assert "share 0.2, seed 0" in note


def test_setting_rows_aside_keeps_every_row_once_and_in_order(folder: Folder) -> None:
    splits = load(folder({"train.txt": TRAIN, "test.txt": TEST}))
    rows = [tuple(line.split(";")) for line in TRAIN.splitlines()]
    parts = [
        (int(identifier.removeprefix("train-")), (text, LABELS[label]))
        for part in (splits.train, splits.validation)
        for identifier, text, label in zip(part.ids, part.texts, part.labels, strict=True)
    ]
    assert sorted(parts) == list(enumerate(rows))
    for part in (splits.train, splits.validation):
        numbers = [int(identifier.removeprefix("train-")) for identifier in part.ids]
        assert numbers == sorted(numbers)


def test_the_same_rows_are_set_aside_every_time(folder: Folder) -> None:
    config = folder({"train.txt": TRAIN, "test.txt": TEST})
    assert load(config).validation.ids == ("train-5", "train-8", "train-29")
    assert load(config).report == load(config).report


def test_at_least_one_row_of_each_label_is_set_aside(folder: Folder) -> None:
    config = replace(folder({"train.txt": TRAIN, "test.txt": TEST}), validation_share=0.001)
    assert sorted(load(config).validation.labels.tolist()) == [0, 1]


def test_a_train_split_too_small_for_validation_rows_is_refused(folder: Folder) -> None:
    assert "training split is too small" in refusal(folder({"train.txt": "one;joy\ntwo;love\n", "test.txt": TEST}))


@pytest.mark.parametrize("name", ["validation.txt", "valid.txt", "val.txt", "dev.txt"])
def test_the_validation_file_may_have_several_names(name: str, folder: Folder) -> None:
    assert load(folder({"train.txt": TRAIN, name: VALIDATION, "test.txt": TEST})).validation.texts == ("v one", "v two")


@pytest.mark.parametrize("name", ["Validation.txt", "DEV.txt", "dev_set.txt", "eval.txt", "validation2.txt"])
def test_a_file_that_may_be_the_validation_split_is_never_ignored(name: str, folder: Folder) -> None:
    assert f"{name} is not a complete validation split" in refusal(
        folder({"train.txt": TRAIN, name: VALIDATION, "test.txt": TEST})
    )


def test_labels_by_id_are_the_labels_by_name(folder: Folder, tmp_path: Path) -> None:
    by_name = load(folder(COMPLETE))
    ids = {"text": by_name.train.texts, "label": pa.array(by_name.train.labels, pa.int64())}
    (tmp_path / "train.txt").unlink()
    pq.write_table(pa.table(ids), tmp_path / "train-00000-of-00001.parquet")  # as the hub names it
    (tmp_path / "test.txt").unlink()
    by_id = load(folder({"test.jsonl": json_lines(("t one", 1), ("t two", 2), ("t three", 0))}))
    assert by_id.report.hashes() == by_name.report.hashes()
    assert by_id.report.route == "local files (.jsonl, .parquet, .txt)"


def test_repeated_and_conflicting_train_texts_are_counted(folder: Folder) -> None:
    train = "a;joy\nb;joy\na;joy\nb;love\na;love\nc;love\nb;love\n"
    report = load(folder({**COMPLETE, "train.txt": train})).report
    assert report.repeated_train_ids == ["train-2", "train-3", "train-4", "train-6"]
    assert report.conflicting_train_ids == ["train-3", "train-4", "train-6"]  # the last: b is joy as well


def test_overlaps_between_splits_are_counted(folder: Folder) -> None:
    train, validation, test = "a;joy\nb;joy\nc;love\n", "c;joy\nd;joy\nb;joy\n", "b;love\nx;joy\na;joy\nd;joy\n"
    report = load(folder({"train.txt": train, "validation.txt": validation, "test.txt": test})).report
    assert {(overlap.of, overlap.within): (overlap.ids, overlap.conflicting_ids) for overlap in report.overlaps} == {
        ("test", "train"): (["test-0", "test-2"], ["test-0"]),
        ("validation", "train"): (["validation-0", "validation-2"], ["validation-0"]),
        ("validation", "test"): (["validation-1", "validation-2"], ["validation-2"]),
    }


def test_the_first_rows_are_taken_where_that_is_asked_for(folder: Folder) -> None:
    first = {"row_choice": RowChoice.first}
    splits = load(replace(folder(COMPLETE), train_rows=4, validation_rows=1, test_rows=2, **first))
    assert splits.train.ids == ("train-0", "train-1", "train-2", "train-3")
    assert splits.validation.texts == ("v one",)
    assert splits.test.texts == ("t one", "t two")
    assert splits.report.splits["train"].rows == 4
    assert splits.report.notes[:3] == [
        "Only 4 of 30 train rows are used: the first.",
        "Only 1 of 2 validation rows are used: the first.",
        "Only 2 of 3 test rows are used: the first.",
    ]


def test_a_limited_number_of_rows_is_drawn_by_label_and_noted(folder: Folder) -> None:
    splits = load(replace(folder(COMPLETE), train_rows=6, test_rows=2))
    assert Counter(splits.train.labels.tolist()) == {0: 4, 1: 2}
    assert (len(splits.test), splits.whole_train_rows) == (2, 30)
    assert "Only 6 of 30 train rows are used: drawn by label, seed 0." in splits.report.notes


@pytest.mark.parametrize(
    ("train", "option"),
    [("one;joy\ntwo;joy\n", {}), ("one;joy\ntwo;joy\nthree;love\n", {"train_rows": 2, "row_choice": RowChoice.first})],
)
def test_one_label_in_train_is_refused(train: str, option: dict[str, Any], folder: Folder) -> None:
    said = refusal(replace(folder({**COMPLETE, "train.txt": train}), **option))
    assert said.startswith("Every training row has the label joy")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"labels": ["sadness", "joy", "Joy "]}, "'joy' and 'Joy '"),
        ({"label_words": {"joy": "happy", "love": " Happy"}}, "'happy' and ' Happy'"),
        ({"label_words": {"fear": "afraid"}}, "'fear'"),
        ({"label_words": {"joy": "love", "love": "joy"}}, "'love'"),
        ({"label_words": {"joy": "Love", "love": "adoration"}}, "'Love'"),
    ],
)
def test_labels_and_words_that_an_answer_cannot_tell_apart_are_refused(
    options: dict[str, Any], named: str, folder: Folder
) -> None:
    assert named in refusal(replace(folder(COMPLETE), **options))


def test_a_limit_above_the_size_changes_nothing(folder: Folder) -> None:
    assert load(replace(folder(COMPLETE), train_rows=30, test_rows=99)).report == load(folder(COMPLETE)).report


def test_a_data_set_without_source_is_refused() -> None:
    assert refusal(DatasetConfig(name="mine", labels=LABELS)).startswith("Data set mine has no source.")


def test_the_hash_is_of_the_text_and_label_lines(folder: Folder) -> None:
    splits = load(folder(COMPLETE))
    assert splits.report.hashes() == {
        split: sha256(COMPLETE[f"{split}.txt"].encode()).hexdigest() for split in ("train", "validation", "test")
    }
    reversed_labels = content_sha256(splits.test, LABELS[::-1])
    assert reversed_labels != splits.report.hashes()["test"]  # the names of labels are hashed, not their ids


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_content_with_another_hash_is_refused(split: str, folder: Folder) -> None:
    hashes = load(folder(COMPLETE)).report.hashes()
    config = replace(folder(COMPLETE), sha256=hashes)
    load(config)
    folder({f"{split}.txt": COMPLETE[f"{split}.txt"].replace("t", "T", 1)})
    said = refusal(config)
    assert f"The {split} split of mine" in said
    assert hashes[split][:12] in said
    assert load(replace(config, sha256={})).report.hashes()[split] in said


def test_changed_data_is_accepted_with_the_overrides_of_the_error(folder: Folder, tmp_path: Path) -> None:
    folder(COMPLETE)
    asked = ["dataset=emotion", f"dataset.path={tmp_path}"]
    said = refusal(compose(asked).dataset)
    assert "dataset.name=... '~dataset.sha256'" in said
    renamed = compose([*asked, "dataset.name=mine", "~dataset.sha256"]).dataset
    assert load(renamed).report.hashes() == load(folder(COMPLETE)).report.hashes()


def test_the_hash_of_train_is_checked_before_rows_are_set_aside(folder: Folder) -> None:
    hashes = load(folder(COMPLETE)).report.hashes()
    (Path(folder({}).path or "") / "validation.txt").unlink()
    assert len(load(replace(folder({}), sha256=hashes, train_rows=5)).train) == 5


NUMBERS: dict[str, Callable[[list[int]], bytes]] = {
    "csv": lambda numbers: "".join(["text,label\n", *(f"t{number},{number}\n" for number in numbers)]).encode(),
    "jsonl": lambda numbers: json_lines(*((f"t{number}", number) for number in numbers)).encode(),
    "json": lambda numbers: json.dumps([{"text": f"t{number}", "label": str(number)} for number in numbers]).encode(),
    "txt": lambda numbers: "".join(f"t{number};{number}\n" for number in numbers).encode(),
    "parquet": lambda numbers: parquet([(f"t{number}", number) for number in numbers]),  # type: ignore[misc]
}


@pytest.mark.parametrize("suffix", NUMBERS)
@pytest.mark.parametrize(
    ("labels", "expected"),
    [(["bad", "so", "good"], [2, 0, 1]), (["2", "0", "1"], [0, 1, 2]), (["1", "2", "3"], None)],
)
def test_a_number_is_the_name_of_a_label_or_else_an_id_in_every_format(
    suffix: str, labels: list[str], expected: list[int] | None, folder: Folder, tmp_path: Path
) -> None:
    config = replace(folder({}), labels=labels)
    (tmp_path / f"test.{suffix}").write_bytes(NUMBERS[suffix]([2, 0, 1]))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.txt").write_text(f"one;{labels[0]}\ntwo;{labels[1]}\n")
    if expected is None:  # 0 is an id, and 1 and 2 are names
        assert "in every row" in refusal(config)
    else:
        assert load(config).test.labels.tolist() == expected


def class_labels(labels: list[int], names: list[str]) -> bytes:
    """A parquet file as the library datasets writes it."""
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=names))
    rows = {"text": [f"text {number}" for number in range(len(labels))], "label": labels}
    sink = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(sink)
    return sink.getvalue()


def test_ids_in_parquet_are_read_by_their_names(folder: Folder, tmp_path: Path) -> None:
    config = folder({"train.txt": TRAIN, "validation.txt": VALIDATION})
    (tmp_path / "test.parquet").write_bytes(class_labels([0, 1, 2], ["joy", "love", "sadness"]))
    assert load(config).test.labels.tolist() == [LABELS.index(name) for name in ("joy", "love", "sadness")]


@pytest.mark.parametrize(
    ("ids", "names", "words", "fix"),
    [
        ([0, 1], ["neg", "pos"], "row 1: label 0 has the name 'neg'", 'dataset.labels=["neg","pos"]'),
        (
            [0, -1],
            ["joy", "love"],
            "row 2: label -1 is not an id from 0 to 1",
            "use another: 'dataset.hub.splits={train: train, ",
        ),
    ],
)
def test_ids_in_parquet_without_a_known_name_are_refused(
    ids: list[int], names: list[str], words: str, fix: str, folder: Folder, tmp_path: Path
) -> None:
    config = folder({"train.txt": TRAIN, "validation.txt": VALIDATION})
    (tmp_path / "test.parquet").write_bytes(class_labels(ids, names))
    said = refusal(config)
    assert f"{tmp_path}/test.parquet, {words}" in said
    assert fix in said


NESTED = {"id": 7, "content": {"text": "t", "label": "joy"}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test.json", json.dumps([NESTED]).encode()),
        ("test.json", json.dumps({"version": 1, "data": [NESTED]}).encode()),
        ("test.jsonl", json.dumps(NESTED).encode()),
        ("test.parquet", parquet_of([NESTED])),
    ],
)
def test_nested_fields_are_read_and_suggested(name: str, content: bytes, folder: Folder, tmp_path: Path) -> None:
    config = folder({"train.json": json.dumps([NESTED, {**NESTED, "content": {"text": "u", "label": "love"}}])})
    (tmp_path / "validation.jsonl").write_text(json.dumps(NESTED))
    (tmp_path / name).write_bytes(content)
    assert "Set dataset.text_column=content.text." in refusal(config)
    nested = replace(config, text_column="content.text", label_column="content.label")
    assert load(nested).test.texts == ("t",)
    assert load(nested).test.labels.tolist() == [1]


# The tests below read the official files. Their licence allows no copy of the texts outside tmp_path.

OFFICIAL = {
    "train": "3ab03d945a6cb783d818ccd06dafd52d2ed8b4f62f0f85a09d7d11870865b190",
    "validation": "34faaa31962fe63cdf5dbf6c132ef8ab166c640254ab991af78f3aea375e79ef",
    "test": "60f531690d20127339e7f054edc299a82c627b5ec0dd5d552d53d544e0cfcc17",
}
COUNTS = {
    "train": {"sadness": 4666, "joy": 5362, "love": 1304, "anger": 2159, "fear": 1937, "surprise": 572},
    "validation": {"sadness": 550, "joy": 704, "love": 178, "anger": 275, "fear": 212, "surprise": 81},
    "test": {"sadness": 581, "joy": 695, "love": 159, "anger": 275, "fear": 224, "surprise": 66},
}
DEFECTS = {  # rows, and how many of them have another label
    "repeated in train": (31, 30),
    "test in train": (11, 11),
    "validation in train": (5, 5),
    "validation in test": (3, 3),
}
LABELS_OF_EMOTION = list(COUNTS["train"])


def defects(report: DataReport) -> dict[str, tuple[int, int]]:
    repeated = {"repeated in train": (len(report.repeated_train_ids), len(report.conflicting_train_ids))}
    return repeated | {f"{o.of} in {o.within}": (len(o.ids), len(o.conflicting_ids)) for o in report.overlaps}


def parquet_of_ids(rows: Pairs) -> bytes:
    return parquet([(text, LABELS_OF_EMOTION.index(label)) for text, label in rows])  # type: ignore[misc]


def official_rows(emotion: Path, split: str) -> Pairs:
    lines = (emotion / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    return [(text, label) for text, _, label in (line.rpartition(";") for line in lines)]


def load_official(path: Path) -> Splits:
    return load(compose(["dataset=emotion", f"dataset.path={path}"]).dataset)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "encode"), [*FORMATS, ("a-00000-of-00001.parquet", parquet_of_ids)])
def test_every_format_gives_the_official_hashes(
    name: str, encode: Callable[[Pairs], bytes], emotion: Path, tmp_path: Path
) -> None:
    for split in OFFICIAL:
        (tmp_path / name.replace("a", split, 1)).write_bytes(encode(official_rows(emotion, split)))
    assert load_official(tmp_path).report.hashes() == OFFICIAL


@pytest.mark.real_data
@pytest.mark.parametrize("split", OFFICIAL)
def test_one_changed_byte_is_refused(split: str, emotion: Path, tmp_path: Path) -> None:
    for name in OFFICIAL:
        content = bytearray((emotion / f"{name}.txt").read_bytes())
        content[0] ^= name == split
        (tmp_path / f"{name}.txt").write_bytes(content)
    with pytest.raises(BenchmarkError, match=f"The {split} split of emotion "):
        load_official(tmp_path)


@pytest.mark.real_data
def test_the_official_counts_and_known_defects_are_reproduced(emotion: Path) -> None:
    report = load_official(emotion).report
    assert {name: split.counts for name, split in report.splits.items()} == COUNTS
    assert {name: split.rows for name, split in report.splits.items()} == {
        "train": 16000,
        "validation": 2000,
        "test": 2000,
    }
    assert defects(report) == DEFECTS
    assert report.notes == []


def test_every_published_record_of_the_official_data_states_its_known_defects() -> None:
    files = sorted((CONF_DIR.parent / "results").glob("runs/*/emotion/*/record.json"))
    stored = [json.loads(file.read_bytes())["data"] for file in files]
    official = [report for data in stored if data and (report := DataReport.from_json(data)).hashes() == OFFICIAL]
    assert official
    assert all(defects(report) == DEFECTS for report in official)


@pytest.mark.real_data
def test_the_studys_own_files_get_a_validation_split_from_train(emotion: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.json").write_bytes(instructions(official_rows(emotion, split)))
    report = load_official(tmp_path).report
    assert report.splits["validation"].counts == {label: round(rows / 10) for label, rows in COUNTS["train"].items()}
    assert report.splits["train"].rows + report.splits["validation"].rows == 16000
    assert report.hashes()["test"] == OFFICIAL["test"]
    assert report.carved_rows == 1600
