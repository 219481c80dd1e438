"""Files as people really have them: each is read with exactly its rows, or refused in one sentence with the remedy."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import command_line

from benchmark.config import DatasetConfig
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.results import store as records
from benchmark.results.record import Status

LABELS = ["sadness", "joy", "love"]
MEGABYTE = "long " * 200_000 + "text"


def parquet(**columns: Any) -> bytes:
    """A file of these columns; `_2` at the end of a name stands for the same name again."""
    sink = pa.BufferOutputStream()
    names = [name.removesuffix("_2") for name in columns]
    pq.write_table(pa.Table.from_arrays([pa.array(values) for values in columns.values()], names), sink)
    return bytes(sink.getvalue().to_pybytes())


PARQUET = parquet(text=["a", "b"], label=["joy", "love"])

Rows = list[tuple[str, str]]
ACCEPTED: dict[str, tuple[str, bytes, Rows]] = {
    "texts that read null, in lines": (
        "test.txt",
        b"null;joy\nNA;joy\nNone;love\nnan;joy\n",
        [("null", "joy"), ("NA", "joy"), ("None", "love"), ("nan", "joy")],
    ),
    "texts that read null, in CSV": (
        "test.csv",
        b'text,label\nnull,joy\nNA,joy\n"None",love\nnan,joy\n',
        [("null", "joy"), ("NA", "joy"), ("None", "love"), ("nan", "joy")],
    ),
    "texts that read null, in JSON lines": (
        "test.jsonl",
        b'{"text": "null", "label": "joy"}\n{"text": "NaN", "label": "love"}\n',
        [("null", "joy"), ("NaN", "love")],
    ),
    "texts that read null, in parquet": (
        "test.parquet",
        parquet(text=["null", "NA", "None"], label=["joy", "joy", "love"]),
        [("null", "joy"), ("NA", "joy"), ("None", "love")],
    ),
    "CSV whose lines end in a lone carriage return": (
        "test.csv",
        b"text,label\ra,joy\rb,love\r",
        [("a", "joy"), ("b", "love")],
    ),
    "line ends of any kind within quotes": (
        "test.csv",
        b'text,label\r\n"a\r\nb\nc\rd",joy\r\n',
        [("a\r\nb\nc\rd", "joy")],
    ),
    "blank lines between the rows of a CSV": (
        "test.csv",
        b"text,label\na,joy\n\nb,joy\n\n",
        [("a", "joy"), ("b", "joy")],
    ),
    "a line of a megabyte": ("test.txt", f"{MEGABYTE};joy\nb;love".encode(), [(MEGABYTE, "joy"), ("b", "love")]),
    "a field of a megabyte": ("test.csv", f'text,label\n"{MEGABYTE}",joy\n'.encode(), [(MEGABYTE, "joy")]),
    "an id that two rows share": ("test.csv", b"id,text,label\n7,a,joy\n7,b,love\n", [("a", "joy"), ("b", "love")]),
    "a text that two rows share": ("test.txt", b"a;joy\na;joy\na;love\n", [("a", "joy"), ("a", "joy"), ("a", "love")]),
    "a repeated column of no concern": ("test.csv", b"x,text,x,label\n1,a,2,joy\n", [("a", "joy")]),
    "a repeated key of no concern": ("test.jsonl", b'{"x": 1, "x": 2, "text": "a", "label": "joy"}\n', [("a", "joy")]),
    "NaN in a column of no concern": ("test.jsonl", b'{"x": NaN, "text": "a", "label": "joy"}\n', [("a", "joy")]),
    "a number beyond 64 bits in a column of no concern": (
        "test.json",
        b'[{"x": 123456789012345678901234567890, "text": "a", "label": "joy"}]',
        [("a", "joy")],
    ),
    "deep nesting in a column of no concern": (
        "test.json",
        b'[{"x": ' + b"[" * 50 + b"]" * 50 + b', "text": "a", "label": "joy"}]',
        [("a", "joy")],
    ),
    "JSON lines of Windows with a byte-order mark": (
        "test.jsonl",
        b'\xef\xbb\xbf{"text": "a", "label": 1}\r\n{"text": "b", "label": 2}\r\n',
        [("a", "joy"), ("b", "love")],
    ),
    "categories in parquet": (
        "test.parquet",
        parquet(
            text=pa.array(["a", "b", "a"]).dictionary_encode(),
            label=pa.array(["joy", "love", "joy"]).dictionary_encode(),
        ),
        [("a", "joy"), ("b", "love"), ("a", "joy")],
    ),
    "large strings in parquet": (
        "test.parquet",
        parquet(text=pa.array(["a"], pa.large_string()), label=pa.array(["joy"], pa.large_string())),
        [("a", "joy")],
    ),
    "string views in parquet": (
        "test.parquet",
        parquet(text=pa.array(["a"], pa.string_view()), label=pa.array(["joy"], pa.string_view())),
        [("a", "joy")],
    ),
    "ids of one byte in parquet": (
        "test.parquet",
        parquet(text=["a", "b"], label=pa.array([2, 0], pa.int8())),
        [("a", "love"), ("b", "sadness")],
    ),
    "unsigned ids in parquet": ("test.parquet", parquet(text=["a"], label=pa.array([1], pa.uint64())), [("a", "joy")]),
    "a repeated parquet column of no concern": (
        "test.parquet",
        parquet(x=[1], text=["a"], x_2=[2], label=["joy"]),
        [("a", "joy")],
    ),
}

NAMES = "not one of sadness, joy, love"
DECLARE = "correct it or declare it in dataset.labels."
THROUGHOUT = "write names, or ids as whole numbers, in every row."
EMPTY = "is empty; fill it or remove it."
NO_JSON = "is no valid JSON (...); mend it or export the file again."
NO_PARQUET = "is no readable parquet file (...); fetch or export it again."
NO_CSV = "is no CSV (...); mend its quotes."
NUL = "contains a NUL byte, as UTF-16 does; export the file again as UTF-8."
LATIN_1 = "is not UTF-8 (...); export the file again as UTF-8."
FIELDS = "has not as many fields as the header; quote fields that contain commas."

# What is said of the file; `...` stands for any words.
REFUSED: dict[str, tuple[str, bytes, str]] = {
    # labels
    "an unknown label": ("test.txt", b"a;joy\nb;jo\n", f"row 2 has the label 'jo', {NAMES}; {DECLARE}"),
    "a label in another case": ("test.txt", b"a;joy\nb;Joy\n", f"row 2 has the label 'Joy', {NAMES}; write 'joy'."),
    "a label behind a space": ("test.txt", b"a; joy\n", f"row 1 has the label ' joy', {NAMES}; write 'joy'."),
    "a label before a space": (
        "test.csv",
        b"text,label\na,joy \n",
        f"row 2 has the label 'joy ', {NAMES}; write 'joy'.",
    ),
    "no label behind the semicolon": ("test.txt", b"a;joy\nb;\n", f"row 2 has the label '', {NAMES}; {DECLARE}"),
    "a label that reads null": ("test.csv", b"text,label\na,null\n", f"row 2 has the label 'null', {NAMES}; {DECLARE}"),
    "a label that reads NA": ("test.txt", b"a;joy\nb;NA\n", f"row 2 has the label 'NA', {NAMES}; {DECLARE}"),
    "a label of a megabyte": (
        "test.txt",
        f"a;{MEGABYTE}\n".encode(),
        f"row 1 has the label 'long ...', {NAMES}; {DECLARE}",
    ),
    "a label of two lines": (
        "test.csv",
        b'text,label\na,"jo\ny"\n',
        rf"row 3 has the label 'jo\ny', {NAMES}; {DECLARE}",
    ),
    "an id among names, as text": (
        "test.csv",
        b"text,label\na,joy\nb,1\n",
        f"row 3 has the label 1, {NAMES}; {THROUGHOUT}",
    ),
    "a null label": (
        "test.jsonl",
        b'{"text": "a", "label": "joy"}\n{"text": "b", "label": null}\n',
        f"row 2 has the label None, {NAMES}; {THROUGHOUT}",
    ),
    "an id among names": (
        "test.jsonl",
        b'{"text": "a", "label": "joy"}\n{"text": "b", "label": 1}\n',
        f"row 2 has the label 1, {NAMES}; {THROUGHOUT}",
    ),
    "a name among ids": (
        "test.jsonl",
        b'{"text": "a", "label": 1}\n{"text": "b", "label": "joy"}\n',
        f"row 2 has the label 'joy', not an id from 0 to 2; {THROUGHOUT}",
    ),
    "an id out of range": (
        "test.jsonl",
        b'{"text": "a", "label": 2}\n{"text": "b", "label": 3}\n',
        "row 2 has the label 3, not an id from 0 to 2; correct it.",
    ),
    "a negative id": (
        "test.json",
        b'[{"text": "a", "label": -1}]',
        "row 1 has the label -1, not an id from 0 to 2; correct it.",
    ),
    "an id beyond 64 bits": (
        "test.json",
        b'[{"text": "a", "label": ' + b"9" * 400 + b"}]",
        "row 1 has the label 999...999, not an id from 0 to 2; correct it.",
    ),
    "an id with a fraction": (
        "test.json",
        b'[{"text": "a", "label": 1.0}]',
        f"row 1 has the label 1.0, {NAMES}; {THROUGHOUT}",
    ),
    "NaN as a label": (
        "test.json",
        b'[{"text": "a", "label": NaN}]',
        f"row 1 has the label nan, {NAMES}; {THROUGHOUT}",
    ),
    "a truth value among ids": (
        "test.jsonl",
        b'{"text": "a", "label": 1}\n{"text": "b", "label": true}\n',
        f"row 2 has the label True, not an id from 0 to 2; {THROUGHOUT}",
    ),
    "a list as a label": (
        "test.json",
        b'[{"text": "a", "label": ["joy"]}]',
        f"row 1 has the label ['joy'], {NAMES}; {THROUGHOUT}",
    ),
    "an object as a label": (
        "test.json",
        b'[{"text": "a", "label": {}}]',
        f"row 1 has the label {{}}, {NAMES}; {THROUGHOUT}",
    ),
    "ids with gaps in parquet": (
        "test.parquet",
        parquet(text=["a", "b"], label=[1, None]),
        f"row 2 has the label None, not an id from 0 to 2; {THROUGHOUT}",
    ),
    "ids with a fraction in parquet": (
        "test.parquet",
        parquet(text=["a"], label=[1.0]),
        f"row 1 has the label 1.0, {NAMES}; {THROUGHOUT}",
    ),
    "dates as labels": (
        "test.parquet",
        parquet(text=["a"], label=pa.array([0], pa.date32())),
        f"row 1 has the label datetime.date(1970, 1, 1), {NAMES}; {THROUGHOUT}",
    ),
    # texts
    "an empty text": ("test.txt", b"a;joy\n;joy\n", "row 2 has no text; fill it or remove the row."),
    "a blank text": ("test.txt", " \t\u00a0;joy\n".encode(), "row 1 has no text; fill it or remove the row."),
    "an empty field": ("test.csv", b"text,label\na,joy\n,joy\n", "row 3 has no text; fill it or remove the row."),
    "a null text": ("test.json", b'[{"text": null, "label": 1}]', "row 1 has no text; fill it or remove the row."),
    "a null text in parquet": (
        "test.parquet",
        parquet(text=["a", None], label=["joy", "joy"]),
        "row 2 has no text; fill it or remove the row.",
    ),
    "a number as a text": (
        "test.json",
        b'[{"text": "a", "label": "joy"}, {"text": 7, "label": "joy"}]',
        "row 2 has a text of type int; write it as a string.",
    ),
    "NaN as a text": (
        "test.json",
        b'[{"text": NaN, "label": "joy"}]',
        "row 1 has a text of type float; write it as a string.",
    ),
    "a nested list as a text": (
        "test.json",
        b'[{"text": [["a"]], "label": "joy"}]',
        "row 1 has a text of type list; write it as a string.",
    ),
    "numbers as texts in parquet": (
        "test.parquet",
        parquet(text=[1, 2], label=["joy", "joy"]),
        "row 1 has a text of type int; write it as a string.",
    ),
    "bytes as texts in parquet": (
        "test.parquet",
        parquet(text=[b"a"], label=["joy"]),
        "row 1 has a text of type bytes; write it as a string.",
    ),
    "half an emoji": (
        "test.jsonl",
        b'{"text": "a", "label": "joy"}\n{"text": "cut \\ud83d", "label": "joy"}\n',
        "row 2 holds half of a UTF-16 pair, which is no character; export it as UTF-8.",
    ),
    # bytes
    "Latin-1 in lines": ("test.txt", "a;joy\nnaïve;joy\n".encode("latin-1"), f"row 2 {LATIN_1}"),
    "Latin-1 in CSV": ("test.csv", "text,label\nnaïve,joy\n".encode("latin-1"), f"row 2 {LATIN_1}"),
    "Latin-1 in JSON lines": ("test.jsonl", '{"text": "naïve", "label": 1}'.encode("latin-1"), f"row 1 {LATIN_1}"),
    "Latin-1 in JSON": ("test.json", '[\n{"text": "naïve", "label": 1}]'.encode("latin-1"), f"row 2 {LATIN_1}"),
    "Latin-1 in parquet": (
        "test.parquet",
        parquet(text=["plain", "naive"], label=["joy", "joy"]).replace(b"naive", b"na\xefve"),
        "row 2 cannot be decoded (...); fetch or export the file again.",
    ),
    "UTF-16": ("test.txt", "a;joy\n".encode("utf-16"), f"row 1 {NUL}"),
    "UTF-16 in CSV": ("test.csv", "text,label\na,joy\n".encode("utf-16-be"), f"row 1 {NUL}"),
    "a NUL byte in lines": ("test.txt", b"a;joy\nb\x00;joy\n", f"row 2 {NUL}"),
    "a NUL byte in CSV": ("test.csv", b"text,label\na,joy\nb\x00,joy\n", f"row 3 {NUL}"),
    # lines
    "lines that end in a lone carriage return": (
        "test.txt",
        b"a;joy\rb;love\r",
        "row 1 contains a lone carriage return; end lines with LF or CRLF.",
    ),
    "a line without semicolon": (
        "test.txt",
        b"a;joy\nno label\n",
        "row 2 has no ';' between text and label; write `text;label`.",
    ),
    "a blank line": ("test.txt", b"a;joy\n\nb;joy\n", "row 2 has no ';' between text and label; write `text;label`."),
    # CSV
    "CSV without header": (
        "test.csv",
        b"a,joy\nb,joy\n",
        "header has no column 'text', only ['a', 'joy']; rename it or set dataset.text_column.",
    ),
    "CSV without a label column": (
        "test.csv",
        b"text,emotion\na,joy\n",
        "header has no column 'label', only ['text', 'emotion']; rename it or set dataset.label_column.",
    ),
    "CSV by semicolons": (
        "test.csv",
        b"text;label\na;joy\n",
        "header has no column 'text', only ['text;label']; rename it or set dataset.text_column.",
    ),
    "a header with spaces": (
        "test.csv",
        b"text, label\na,joy\n",
        "header has no column 'label', only ['text', ' label']; rename it or set dataset.label_column.",
    ),
    "a header of a megabyte": (
        "test.csv",
        f"{MEGABYTE},label\na,joy\n".encode(),
        "header has no column 'text', only ['long ...', 'label']; rename it or set dataset.text_column.",
    ),
    "a text column twice": (
        "test.csv",
        b"text,label,text\na,joy,b\n",
        "header has the column 'text' more than once; keep the one that is meant.",
    ),
    "a label column twice": (
        "test.csv",
        b"label,text,label\njoy,a,love\n",
        "header has the column 'label' more than once; keep the one that is meant.",
    ),
    "too few fields": ("test.csv", b"text,label\na,joy\nb\n", f"row 3 {FIELDS}"),
    "too many fields": ("test.csv", b"text,label\nb, and c,joy\n", f"row 2 {FIELDS}"),
    "an unclosed quote": ("test.csv", b'text,label\na,joy\n"b,joy\nc,joy\nd,joy\n', f"row 3 {NO_CSV}"),
    "text after a quote": ("test.csv", b'text,label\na,joy\n"b"c,joy\nd,joy\n', f"row 3 {NO_CSV}"),
    "an unclosed quote in the header": ("test.csv", b'text,"label\na,joy\n', f"row 1 {NO_CSV}"),
    # JSON
    "JSON lines cut short": ("test.jsonl", b'{"text": "a", "label": 1}\n{"text": "b", "la', f"row 2 {NO_JSON}"),
    "a blank line among JSON lines": ("test.jsonl", b'{"text": "a", "label": 1}\n\n', f"row 2 {NO_JSON}"),
    "JSON lines without bottom": ("test.jsonl", b'{"text":' * 100_000, f"row 1 {NO_JSON}"),
    "JSON lines without label": (
        "test.jsonl",
        b'{"text": "a"}\n',
        "row 1 has no column 'label', only ['text']; rename it or set dataset.label_column.",
    ),
    "JSON lines of lists": (
        "test.jsonl",
        b'["a", "joy"]\n',
        "row 1 is no object; write one with 'text' and 'label'.",
    ),
    "JSON in the place of JSON lines": ("test.jsonl", b'[\n{"text": "a", "label": 1}\n]\n', f"row 1 {NO_JSON}"),
    "JSON lines in the place of JSON": ("test.json", b'{"text": "a", "label": 1}\n' * 2, NO_JSON),
    "JSON cut short": ("test.json", b'[{"text": "a", "label": 1}, {"text": "b"', NO_JSON),
    "JSON with a number of 5,000 digits": ("test.json", b"[" + b"9" * 5000 + b"]", NO_JSON),
    "JSON without bottom": ("test.json", b"[" * 100_000, NO_JSON),
    "JSON that is an object": (
        "test.json",
        b'{"text": "a", "label": "joy"}',
        "is no list; write one of objects, or use .jsonl for one object a line.",
    ),
    "JSON of strings": (
        "test.json",
        b'[{"text": "a", "label": "joy"}, "b"]',
        "row 2 is no object; write one with 'text' and 'label'.",
    ),
    "JSON without text": (
        "test.json",
        b'[{"sentence": "a", "label": 1}]',
        "row 1 has no column 'text', only ['sentence', 'label']; rename it or set dataset.text_column.",
    ),
    "instructions without output": (
        "test.json",
        b'[{"instruction": "i", "input": "a"}]',
        "row 1 has no column 'text', only ['instruction', 'input']; rename it or set dataset.text_column.",
    ),
    "a label twice": (
        "test.json",
        b'[{"text": "a", "label": 1, "label": 2}]',
        "row 1 has the column 'label' more than once; keep the one that is meant.",
    ),
    "a text twice": (
        "test.jsonl",
        b'{"text": "a", "text": "b", "label": 1}',
        "row 1 has the column 'text' more than once; keep the one that is meant.",
    ),
    "two outputs of one instruction": (
        "test.json",
        b'[{"instruction": "i", "input": "a", "output": "joy", "output": "love"}]',
        "row 1 has the column 'output' more than once; keep the one that is meant.",
    ),
    # parquet
    "parquet cut short": ("test.parquet", PARQUET[:-20], NO_PARQUET),
    "parquet with a damaged page": ("test.parquet", PARQUET[:4] + b"\xff" * 40 + PARQUET[44:], NO_PARQUET),
    "parquet with a damaged column name": ("test.parquet", PARQUET.replace(b"label", b"la\xffel"), NO_PARQUET),
    "CSV named parquet": ("test.parquet", b"text,label\na,joy\n", NO_PARQUET),
    "parquet without label": (
        "test.parquet",
        parquet(text=["a"], x=[1]),
        "has no column 'label', only ['text', 'x']; rename it or set dataset.label_column.",
    ),
    "a parquet column twice": (
        "test.parquet",
        parquet(text=["a"], label=["joy"], text_2=["b"]),
        "has the column 'text' more than once; keep the one that is meant.",
    ),
    # nothing
    "lines without anything": ("test.txt", b"", EMPTY),
    "CSV of a byte-order mark": ("test.csv", b"\xef\xbb\xbf", EMPTY),
    "JSON without anything": ("test.json", b"", EMPTY),
    "JSON lines without anything": ("test.jsonl", b"", EMPTY),
    "parquet without anything": ("test.parquet", b"", EMPTY),
    "only a header": ("test.csv", b"text,label\n", "holds no rows; remove it or fill it."),
    "an empty list": ("test.json", b"[]", "holds no rows; remove it or fill it."),
    "parquet without a row": (
        "test.parquet",
        parquet(text=pa.array([], pa.string()), label=pa.array([], pa.string())),
        "holds no rows; remove it or fill it.",
    ),
}


def dataset(folder: Path, **options: Any) -> DatasetConfig:
    """A data set with two sound splits; the test split is up to the test."""
    (folder / "train.txt").write_text("one;joy\ntwo;love\nthree;sadness\n")
    (folder / "validation.txt").write_text("four;joy\n")
    return DatasetConfig(**{"name": "mine", "labels": LABELS, "path": str(folder), **options})


def refusal(config: DatasetConfig) -> str:
    with pytest.raises(BenchmarkError) as error:
        load(config)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert len(sentence) < 600
    assert "; " in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(("name", "content", "rows"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_an_unusual_file_gives_exactly_its_rows(name: str, content: bytes, rows: Rows, tmp_path: Path) -> None:
    config = dataset(tmp_path)
    (tmp_path / name).write_bytes(content)
    test = load(config).test
    assert [(text, LABELS[label]) for text, label in zip(test.texts, test.labels, strict=True)] == rows


@pytest.mark.parametrize(("name", "content", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_file_is_refused_with_file_row_and_remedy(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    config = dataset(tmp_path)
    (tmp_path / name).write_bytes(content)
    where = f"{tmp_path}/{name}" + (", " if said.startswith(("row ", "header ")) else " ")
    assert re.fullmatch(re.escape(where + said).replace(r"\.\.\.", ".*"), refusal(config))


@pytest.mark.parametrize("name", ["null", "NA", "None", "nan", "true", "1"])
def test_a_declared_label_may_be_any_word(name: str, tmp_path: Path) -> None:
    config = dataset(tmp_path, labels=[*LABELS, name])
    (tmp_path / "test.csv").write_text(f"text,label\na,{name}\nb,joy\n")
    assert load(config).test.labels.tolist() == [3, 1]


def test_a_file_with_a_row_missing_is_refused_with_the_rows_it_has(tmp_path: Path) -> None:
    config = dataset(tmp_path)
    (tmp_path / "test.txt").write_text("a;joy\nb;love\nc;joy\n")
    pinned = dataset(tmp_path, sha256=load(config).report.hashes())
    (tmp_path / "test.txt").write_text("a;joy\nb;love\n")
    sentence = refusal(pinned)
    assert sentence.startswith("The test split of mine from local files (.txt) is not the published one: 2 rows with")
    assert "; restore the file, or give changed data a name" in sentence


def folder_as_file(folder: Path) -> None:
    (folder / "test.csv").mkdir()


def broken_link(folder: Path) -> None:
    (folder / "test.csv").symlink_to(folder / "moved.csv")


def two_files(folder: Path) -> None:
    (folder / "test.txt").write_text("a;joy\n")
    (folder / "test.csv").write_text("text,label\na,joy\n")


def shards(folder: Path) -> None:
    for number in range(2):
        (folder / f"test-0000{number}-of-00002.parquet").write_bytes(PARQUET)


def empty_file(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).touch()


def only(split: str) -> Callable[[Path], None]:
    """Nothing but this split."""

    def remove(folder: Path) -> None:
        for path in folder.iterdir():
            path.unlink()
        (folder / f"{split}.txt").write_text("a;joy\n")

    return remove


def no_validation_but(name: str) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / "test.txt").write_text("a;joy\n")
        (folder / "validation.txt").rename(folder / name)

    return replace


NO_SPLIT = "is no split that can be read; make it one file named {}{{.txt,.csv,.jsonl,.json,.parquet}}, or rename it."
UNREADABLE = "cannot be read ({}); put a readable file in its place."
FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder named like a file": (folder_as_file, "/test.csv " + UNREADABLE.format("Is a directory")),
    "a link to nothing": (broken_link, "/test.csv " + UNREADABLE.format("No such file or directory")),
    "two files for one split": (two_files, " has several files for one split: test.csv, test.txt; keep one."),
    "no test split": (only("train"), " has no test split; add test{.txt,.csv,.jsonl,.json,.parquet}."),
    "no train split": (only("test"), " has no train split; add train{.txt,.csv,.jsonl,.json,.parquet}."),
    "an unknown format": (empty_file("test.xlsx"), "/test.xlsx " + NO_SPLIT.format("test")),
    "a packed file": (empty_file("test.csv.gz"), "/test.csv.gz " + NO_SPLIT.format("test")),
    "a format in capitals": (empty_file("test.CSV"), "/test.CSV " + NO_SPLIT.format("test")),
    "no format": (empty_file("test"), "/test " + NO_SPLIT.format("test")),
    "a split in parts": (shards, "/test-00000-of-00002.parquet " + NO_SPLIT.format("test")),
    "a validation split in an unknown format": (
        no_validation_but("dev.tsv"),
        "/dev.tsv " + NO_SPLIT.format("validation"),
    ),
}


@pytest.mark.parametrize(("arrange", "said"), FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_that_is_no_data_set_is_refused(arrange: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    config = dataset(tmp_path)
    arrange(tmp_path)
    assert refusal(config) == f"{tmp_path}{said}"


@pytest.mark.parametrize(
    ("path", "reason"), [("nowhere", "No such file or directory"), ("train.txt", "Not a directory")]
)
def test_a_path_that_is_no_folder_is_refused(path: str, reason: str, tmp_path: Path) -> None:
    sentence = refusal(dataset(tmp_path, path=str(tmp_path / path)))
    assert sentence.startswith(f"dataset.path={tmp_path}/{path} is no folder that can be read ({reason}); give one")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    config = dataset(tmp_path)
    (tmp_path / "test.txt").touch(mode=0)
    assert refusal(config) == f"{tmp_path}/test.txt " + UNREADABLE.format("Permission denied")
    tmp_path.chmod(0)
    try:
        assert refusal(config).startswith(f"dataset.path={tmp_path} is no folder that can be read (Permission denied)")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_above_named_like_a_column_is_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "label=joy"
    folder.mkdir()
    config = dataset(folder)
    (folder / "test.parquet").write_bytes(PARQUET)
    assert load(config).test.labels.tolist() == [1, 2]


@pytest.mark.slow
def test_a_run_on_a_malformed_file_fails_in_one_sentence_and_has_no_score(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    dataset(data)
    (data / "test.jsonl").write_text(json.dumps({"text": "a", "label": "glee"}))
    arguments = ("model=majority", f"dataset.path={data}", "dataset.sha256={}", "dataset.name=mine")
    shown = command_line(tmp_path, *arguments)
    said = "test.jsonl, row 1 has the label 'glee', not one of sadness, joy, love, anger, fear, surprise; "
    assert shown.returncode == 1
    assert f"{data}/{said}{DECLARE}" in shown.stderr.splitlines()
    assert "Traceback" not in shown.stdout + shown.stderr
    (run,) = records.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert run.record.failure is not None
    assert said in run.record.failure.message
    assert run.record.failure.traceback is None
    assert not (run.folder / "predictions.parquet").exists()
    assert "not run: failed" in shown.stdout
    assert not re.search(r"\b[01]\.\d{4}\b", shown.stdout)
