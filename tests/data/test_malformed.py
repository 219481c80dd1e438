"""Unusual files are read with exactly their rows; malformed ones are refused with file, row and a fix."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.data.file_formats import READERS
from benchmark.data.load import load
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError

LABELS = ["sadness", "joy", "love"]
MEGABYTE = "long " * 200_000 + "text"
NESTED = b"[" * 50 + b"]" * 50


def parquet(**columns: Any) -> bytes:
    """A file of these columns; a name that ends in `_2` repeats the name before it."""
    sink = pa.BufferOutputStream()
    names = [name.removesuffix("_2") for name in columns]
    pq.write_table(pa.Table.from_arrays([pa.array(values) for values in columns.values()], names), sink)
    return bytes(sink.getvalue().to_pybytes())


def jsonl(*rows: tuple[Any, Any]) -> bytes:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows).encode()


def dataset(folder: Path, **options: Any) -> DatasetConfig:
    """A data set without a test split."""
    (folder / "train.txt").write_text("one;joy\ntwo;love\nthree;sadness\n")
    (folder / "validation.txt").write_text("four;joy\n")
    return DatasetConfig(**{"name": "mine", "labels": LABELS, "path": str(folder), **options})


def refusal(config: DatasetConfig) -> BenchmarkError:
    with pytest.raises(BenchmarkError) as caught:
        load(config)
    error = caught.value
    assert error.fix is not None
    for sentence in (error.problem, error.fix):
        assert "\n" not in sentence
        assert len(sentence) < 600
        assert sentence.endswith(".")
    return error


PARQUET = parquet(text=["a", "b"], label=["joy", "love"])
VIEW, LARGE = pa.string_view(), pa.large_string()
CATEGORIES = pa.array(["joy", "love"]).dictionary_encode()
ONE, BOTH = [("a", "joy")], [("a", "joy"), ("b", "love")]
ACCEPTED: dict[str, tuple[str, bytes, list[tuple[str, str]]]] = {
    "CSV with lone carriage returns": ("csv", b"text,label\ra,joy\rb,love\r", BOTH),
    "any line end within quotes": ("csv", b'text,label\r\n"a\r\nb\nc\rd",joy\r\n', [("a\r\nb\nc\rd", "joy")]),
    "blank lines between the rows of a CSV": ("csv", b"text,label\na,joy\n\nb,love\n\n", BOTH),
    "a line of a megabyte": ("txt", f"{MEGABYTE};joy\nb;love".encode(), [(MEGABYTE, "joy"), ("b", "love")]),
    "a repeated id": ("csv", b"id,text,label\n7,a,joy\n7,b,love\n", BOTH),
    "a repeated text": ("txt", b"a;joy\na;joy\na;love\n", [*ONE, *ONE, ("a", "love")]),
    "another column twice in CSV": ("csv", b"x,text,x,label\n1,a,2,joy\n", ONE),
    "another key twice in JSON": ("jsonl", b'{"x": 1, "x": 2, "text": "a", "label": "joy"}\n', ONE),
    "another column twice in parquet": ("parquet", parquet(x=[1], text=["a"], x_2=[2], label=["joy"]), ONE),
    "NaN in another column": ("jsonl", b'{"x": NaN, "text": "a", "label": "joy"}\n', ONE),
    "30 digits in another column": ("json", b'[{"x": ' + b"9" * 30 + b', "text": "a", "label": "joy"}]', ONE),
    "deep nesting in another column": ("json", b'[{"x": ' + NESTED + b', "text": "a", "label": "joy"}]', ONE),
    "JSON lines from Windows": ("jsonl", b"\xef\xbb\xbf" + jsonl(("a", 1), ("b", 2)).replace(b"\n", b"\r\n"), BOTH),
    "categories in parquet": (
        "parquet",
        parquet(text=pa.array(["a", "b"]).dictionary_encode(), label=CATEGORIES),
        BOTH,
    ),
    "large strings": ("parquet", parquet(text=pa.array(["a"], LARGE), label=pa.array(["joy"], LARGE)), ONE),
    "string views": ("parquet", parquet(text=pa.array(["a"], VIEW), label=pa.array(["joy"], VIEW)), ONE),
    "ids of one byte": ("parquet", parquet(text=["a", "b"], label=pa.array([1, 2], pa.int8())), BOTH),
    "unsigned ids": ("parquet", parquet(text=["a"], label=pa.array([1], pa.uint64())), ONE),
}


@pytest.mark.parametrize(("suffix", "content", "rows"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_an_unusual_file_gives_exactly_its_rows(
    suffix: str, content: bytes, rows: list[tuple[str, str]], tmp_path: Path
) -> None:
    config = dataset(tmp_path)
    (tmp_path / f"test.{suffix}").write_bytes(content)
    test = load(config).test
    assert [(text, LABELS[label]) for text, label in zip(test.texts, test.labels, strict=True)] == rows


NAMES, IDS = "not one of sadness, joy, love", "not an id from 0 to 2"
ADD, NAMES_OR_IDS = "dataset.labels", "in every row"
TEXT_OPTION, LABEL_OPTION = "dataset.text_column", "dataset.label_column"


@pytest.mark.parametrize(
    ("labels", "row", "expected", "fix"),
    [
        (["joy", "jo"], 2, NAMES, ADD),
        (["joy", ""], 2, NAMES, ADD),
        (["null"], 1, NAMES, ADD),
        (["jo\ny"], 1, NAMES, ADD),
        (["joy", "Joy"], 2, NAMES, "'joy'"),
        ([" joy"], 1, NAMES, "'joy'"),
        (["joy "], 1, NAMES, "'joy'"),
        (["joy", None], 2, NAMES, NAMES_OR_IDS),
        (["joy", 1], 2, NAMES, NAMES_OR_IDS),
        ([1.0], 1, NAMES, NAMES_OR_IDS),
        ([float("nan")], 1, NAMES, NAMES_OR_IDS),
        ([{}], 1, NAMES, NAMES_OR_IDS),
        ([1, "joy"], 2, IDS, NAMES_OR_IDS),
        ([1, True], 2, IDS, NAMES_OR_IDS),
        ([1, None], 2, IDS, NAMES_OR_IDS),
        ([2, 3], 2, IDS, "Correct it."),
        ([-1], 1, IDS, "Correct it."),
    ],
)
def test_a_wrong_label_is_refused(labels: list[Any], row: int, expected: str, fix: str, tmp_path: Path) -> None:
    config = dataset(tmp_path)
    (tmp_path / "test.jsonl").write_bytes(jsonl(*(("a", label) for label in labels)))
    error = refusal(config)
    assert error.problem == f"{tmp_path}/test.jsonl, row {row}: label {labels[-1]!r} is {expected}."
    assert fix in str(error.fix)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "empty"),
        (" \t\u00a0", "empty"),
        (None, "empty"),
        (7, "int"),
        (float("nan"), "float"),
        ([["a"]], "list"),
        ("cut \ud800", "surrogate"),
        ("\udfff end", "surrogate"),
    ],
)
def test_a_wrong_text_is_refused(text: Any, found: str, tmp_path: Path) -> None:
    config = dataset(tmp_path)
    (tmp_path / "test.jsonl").write_bytes(jsonl(("a", "joy"), (text, "joy")))
    problem = refusal(config).problem
    assert problem.startswith(f"{tmp_path}/test.jsonl, row 2: the text ")
    assert found in problem


def latin_1(text: str) -> bytes:
    return text.encode("latin-1")


# File suffix, content, row ("header" or None where there is no row), and words of the error.
REFUSED: dict[str, tuple[Any, ...]] = {
    "no label after the semicolon": ("txt", b"a;joy\nb;\n", 2, "label ''", NAMES, ADD),
    "a label of a megabyte": ("txt", f"a;{MEGABYTE}\n".encode(), 1, "label 'long ", "...", NAMES, ADD),
    "a label of two lines": ("csv", b'text,label\na,"jo\ny"\n', 3, r"label 'jo\ny'", NAMES, ADD),
    "an id among names in CSV": ("csv", b"text,label\na,joy\nb,1\n", 3, "label 1", NAMES, NAMES_OR_IDS),
    "an id beyond 64 bits": ("json", b'[{"text": "a", "label": ' + b"9" * 400 + b"}]", 1, "label 999", "...", IDS),
    "null ids": ("parquet", parquet(text=["a", "b"], label=[1, None]), 2, "label None", IDS, NAMES_OR_IDS),
    "fractions as ids": ("parquet", parquet(text=["a"], label=[1.0]), 1, "label 1.0", NAMES, NAMES_OR_IDS),
    "dates as labels": ("parquet", parquet(text=["a"], label=pa.array([0], pa.date32())), 1, "label datetime", NAMES),
    "an empty text": ("txt", b"a;joy\n;joy\n", 2, "empty"),
    "an empty field": ("csv", b"text,label\na,joy\n,joy\n", 3, "empty"),
    "a null text": ("parquet", parquet(text=["a", None], label=["joy", "joy"]), 2, "empty"),
    "numbers as texts": ("parquet", parquet(text=[1, 2], label=["joy", "joy"]), 1, "type int"),
    "bytes as texts": ("parquet", parquet(text=[b"a"], label=["joy"]), 1, "type bytes"),
    "Latin-1 in lines": ("txt", latin_1("a;joy\nnaïve;joy\n"), 2, "not UTF-8"),
    "Latin-1 in CSV": ("csv", latin_1("text,label\nnaïve,joy\n"), 2, "not UTF-8"),
    "Latin-1 in JSON lines": ("jsonl", latin_1('{"text": "naïve", "label": 1}'), 1, "not UTF-8"),
    "Latin-1 in JSON": ("json", latin_1('\n[{"text": "naïve", "label": 1}]'), 2, "not UTF-8"),
    "Latin-1 in parquet": (
        "parquet",
        parquet(text=["a", "naive"], label=[1, 1]).replace(b"nai", b"na\xef"),
        2,
        "decod",
    ),
    "UTF-16": ("txt", "a;joy\n".encode("utf-16"), 1, "NUL"),
    "UTF-16 in CSV": ("csv", "text,label\na,joy\n".encode("utf-16-be"), 1, "NUL"),
    "a NUL byte in lines": ("txt", b"a;joy\nb\x00;joy\n", 2, "NUL"),
    "a NUL byte in CSV": ("csv", b"text,label\na,joy\nb\x00,joy\n", 3, "NUL"),
    "lines with lone carriage returns": ("txt", b"a;joy\nb;joy\rc;love\r", 2, "carriage return"),
    "a line without semicolon": ("txt", b"a;joy\nno label\n", 2, "no ';'"),
    "a blank line": ("txt", b"a;joy\n\nb;joy\n", 2, "no ';'"),
    "CSV without header": ("csv", b"a,joy\nb,joy\n", "header", "'text'", "['a', 'joy']", TEXT_OPTION),
    "CSV without labels": ("csv", b"text,x\na,joy\n", "header", "'label'", "['text', 'x']", LABEL_OPTION),
    "CSV with semicolons": ("csv", b"text;label\na;joy\n", "header", "'text'", "['text;label']", "by commas"),
    "CSV with tabs": ("csv", b"text\tlabel\na\tjoy\n", "header", "'text'", "by commas"),
    "a header with spaces": ("csv", b"text, label\na,joy\n", "header", "'label'", "' label'", LABEL_OPTION),
    "a header of a megabyte": ("csv", f"{MEGABYTE},label\na,joy\n".encode(), "header", "'text'", "...", TEXT_OPTION),
    "the text column twice": ("csv", b"text,label,text\na,joy,b\n", "header", "'text'", "more than once"),
    "the label column twice": ("csv", b"label,text,label\njoy,a,love\n", "header", "'label'", "more than once"),
    "too few fields": ("csv", b"text,label\na,joy\nb\n", 3, "number of fields"),
    "too many fields": ("csv", b"text,label\nb, and c,joy\n", 2, "number of fields"),
    "an unclosed quote": ("csv", b'text,label\na,joy\n"b,joy\nc,joy\nd,joy\n', 3, "CSV"),
    "text after a quote": ("csv", b'text,label\na,joy\n"b"c,joy\nd,joy\n', 3, "CSV"),
    "an unclosed quote in the header": ("csv", b'text,"label\na,joy\n', 1, "CSV"),
    "JSON lines cut short": ("jsonl", b'{"text": "a", "label": 1}\n{"text": "b", "la', 2, "JSON"),
    "a blank line among JSON lines": ("jsonl", b'{"text": "a", "label": 1}\n\n', 2, "JSON"),
    "JSON lines nested too deeply": ("jsonl", b'{"text":' * 100_000, 1, "JSON"),
    "JSON lines without label": ("jsonl", b'{"text": "a"}\n', 1, "'label'", "['text']", LABEL_OPTION),
    "JSON lines of lists": ("jsonl", b'["a", "joy"]\n', 1, "object"),
    "JSON named JSON lines": ("jsonl", b'[\n{"text": "a", "label": 1}\n]\n', 1, "JSON"),
    "JSON lines named JSON": ("json", b'{"text": "a", "label": 1}\n' * 2, None, "JSON"),
    "JSON cut short": ("json", b'[{"text": "a", "label": 1}, {"text": "b"', None, "JSON"),
    "JSON with a number of 5,000 digits": ("json", b"[" + b"9" * 5000 + b"]", None, "JSON"),
    "JSON nested too deeply": ("json", b"[" * 100_000, None, "JSON"),
    "JSON that is an object": ("json", b'{"text": "a", "label": "joy"}', None, "list"),
    "JSON of strings": ("json", b'[{"text": "a", "label": "joy"}, "b"]', 2, "object"),
    "JSON without text": ("json", b'[{"x": "a", "label": 1}]', 1, "'text'", "['x', 'label']", TEXT_OPTION),
    "instructions without output": (
        "json",
        b'[{"instruction": "i", "input": "a"}]',
        1,
        "'text'",
        "['instr",
        TEXT_OPTION,
    ),
    "the label twice": ("json", b'[{"text": "a", "label": 1, "label": 2}]', 1, "'label'", "more than once"),
    "the text twice": ("jsonl", b'{"text": "a", "text": "b", "label": 1}', 1, "'text'", "more than once"),
    "a label and another output": (
        "json",
        b'[{"instruction": "", "input": "a", "output": "joy", "label": "love"}]',
        1,
        "'label' is 'love'",
        "is 'joy'",
    ),
    "two outputs": (
        "json",
        b'[{"instruction": "", "input": "a", "output": "joy", "output": ""}]',
        1,
        "'output'",
        "once",
    ),
    "parquet cut short": ("parquet", PARQUET[:-20], None, "parquet"),
    "a damaged page": ("parquet", PARQUET[:4] + b"\xff" * 40 + PARQUET[44:], None, "parquet"),
    "a damaged column name": ("parquet", PARQUET.replace(b"label", b"la\xffel"), None, "parquet"),
    "CSV named parquet": ("parquet", b"text,label\na,joy\n", None, "parquet"),
    "parquet without label": ("parquet", parquet(text=["a"], x=[1]), None, "'label'", "['text', 'x']", LABEL_OPTION),
    "a parquet column twice": (
        "parquet",
        parquet(text=["a"], label=[1], text_2=["b"]),
        None,
        "'text'",
        "more than once",
    ),
    "only a byte-order mark": ("csv", b"\xef\xbb\xbf", None, "is empty"),
    **{f"nothing in {suffix}": (suffix[1:], b"", None, "is empty") for suffix in READERS},
    "only a header": ("csv", b"text,label\n", None, "no rows"),
    "an empty list": ("json", b"[]", None, "no rows"),
    "parquet without rows": ("parquet", parquet(text=pa.array([], LARGE), label=pa.array([], LARGE)), None, "no rows"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_file_is_refused(case: tuple[Any, ...], tmp_path: Path) -> None:
    suffix, content, row, *words = case
    config = dataset(tmp_path)
    (tmp_path / f"test.{suffix}").write_bytes(content)
    error = refusal(config)
    location = {None: "", "header": ", header: "}.get(row, f", row {row}: ")
    assert error.problem.startswith(f"{tmp_path}/test.{suffix}{location}")
    assert ", row " not in error.problem or isinstance(row, int)
    assert [word for word in words if word not in str(error)] == []


@pytest.mark.parametrize("name", ["null", "NA", "None", "nan", "true", "1"])
def test_a_declared_label_may_be_any_word(name: str, tmp_path: Path) -> None:
    config = dataset(tmp_path, labels=[*LABELS, name])
    (tmp_path / "test.csv").write_text(f"text,label\na,{name}\nb,joy\n")
    assert load(config).test.labels.tolist() == [3, 1]


def touch(name: str, folder: Path) -> None:
    (folder / name).touch()


def split_test_file(folder: Path) -> None:
    for number in range(2):
        (folder / f"test-0000{number}-of-00002.parquet").write_bytes(PARQUET)


def write_two_test_files(folder: Path) -> None:
    (folder / "test.txt").write_text("a;joy\n")
    (folder / "test.csv").write_text("text,label\na,joy\n")


def rename_train(folder: Path) -> None:
    (folder / "train.txt").rename(folder / "test.txt")


def rename_validation(folder: Path) -> None:
    (folder / "test.txt").write_text("a;joy\n")
    (folder / "validation.txt").rename(folder / "dev.ods")


FOLDERS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a folder named like a file": (lambda folder: (folder / "test.csv").mkdir(), "/test.csv: ", "Is a directory"),
    "a broken link": (lambda folder: (folder / "test.csv").symlink_to("x"), "/test.csv: ", "No such file"),
    "two files for one split": (write_two_test_files, " ", "test.csv, test.txt"),
    "no test split": (lambda _: None, " ", "no test split"),
    "no train split": (rename_train, " ", "no train split"),
    "an unknown format": (partial(touch, "test.xlsx"), "/test.xlsx ", "test.txt"),
    "a compressed file": (partial(touch, "test.csv.gz"), "/test.csv.gz ", "test.txt"),
    "a suffix in capitals": (partial(touch, "test.CSV"), "/test.CSV ", "test.txt"),
    "no suffix": (partial(touch, "test"), "/test ", "test.txt"),
    "a split in parts": (split_test_file, "/test-00000-of-00002.parquet ", "test.txt"),
    "validation in an unknown format": (rename_validation, "/dev.ods ", "validation.txt"),
}


@pytest.mark.parametrize(("arrange", "location", "words"), FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_that_is_not_a_data_set_is_refused(
    arrange: Callable[[Path], object], location: str, words: str, tmp_path: Path
) -> None:
    config = dataset(tmp_path)
    arrange(tmp_path)
    error = refusal(config)
    assert error.problem.startswith(f"{tmp_path}{location}")
    assert words in str(error)


@pytest.mark.parametrize(
    ("path", "reason"), [("nowhere", "No such file or directory"), ("train.txt", "Not a directory")]
)
def test_a_path_that_is_not_a_folder_is_refused(path: str, reason: str, tmp_path: Path) -> None:
    problem = refusal(dataset(tmp_path, path=str(tmp_path / path))).problem
    assert problem.startswith(f"dataset.path={tmp_path}/{path} ")
    assert f"({reason})" in problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_read_permission_are_refused(tmp_path: Path) -> None:
    config = dataset(tmp_path)
    (tmp_path / "test.txt").touch(mode=0)
    assert refusal(config).problem.startswith(f"{tmp_path}/test.txt: ")
    tmp_path.chmod(0)
    try:
        assert refusal(config).problem.startswith(f"dataset.path={tmp_path} ")
    finally:
        tmp_path.chmod(0o700)


def test_the_name_of_a_parent_folder_is_not_read_as_a_column(tmp_path: Path) -> None:
    folder = tmp_path / "label=joy"
    folder.mkdir()
    config = dataset(folder)
    (folder / "test.parquet").write_bytes(PARQUET)
    assert load(config).test.labels.tolist() == [1, 2]
