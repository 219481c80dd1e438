import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.classifier import BenchmarkError
from benchmark.readers import READERS, read_file

Pairs = list[tuple[str, str]]

ROWS: Pairs = [
    ("i feel calm", "joy"),
    ("i paused; then i wept; i feel low", "sadness"),
    ('she said "no", twice, and i feel it', "anger"),
    ("naïve 雪 🙂", "surprise"),
    (" spaced  ", "joy"),
    ("null", "NA"),
    ("None", "null"),
    ("NA", "None"),
    ("nan", "NaN"),
    ("1,000", "1"),
    ("# no comment", "true"),
    ("true", "0.0"),
]


def txt(rows: Pairs) -> bytes:
    return "".join(f"{text};{label}\n" for text, label in rows).encode()


def csv_file(rows: Pairs) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
    return file.getvalue().encode()


def objects(rows: Pairs) -> list[dict[str, str]]:
    return [{"label": label, "text": text, "more": "ignored"} for text, label in rows]


def jsonl(rows: Pairs) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in objects(rows)).encode()


def plain_json(rows: Pairs) -> bytes:
    return json.dumps(objects(rows), indent=1, ensure_ascii=False).encode() + b"\n"


def instructions(rows: Pairs) -> bytes:
    return json.dumps([{"instruction": "Which?", "input": text, "output": label} for text, label in rows]).encode()


def parquet(rows: Pairs) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"label": [label for _, label in rows], "text": [text for text, _ in rows]}), sink)
    return bytes(sink.getvalue().to_pybytes())


FORMATS: list[tuple[str, Callable[[Pairs], bytes]]] = [
    ("a.txt", txt),
    ("a.csv", csv_file),
    ("a.jsonl", jsonl),
    ("a.json", plain_json),
    ("a.json", instructions),
    ("a.parquet", parquet),
]


def read(file: Path) -> Pairs:
    return [(row.text, row.label) for row in read_file(file, "text", "label")]


def refusal(file: Path) -> str:
    with pytest.raises(BenchmarkError) as error:
        read_file(file, "text", "label")
    return str(error.value)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


Written = Callable[[str, bytes], Path]


def test_every_format_is_tried_here() -> None:
    assert {Path(name).suffix for name, _ in FORMATS} == set(READERS)


@pytest.mark.parametrize(("name", "encode"), FORMATS)
def test_every_format_gives_the_same_rows(name: str, encode: Callable[[Pairs], bytes], written: Written) -> None:
    assert read(written(name, encode(ROWS))) == ROWS


@pytest.mark.parametrize(("name", "encode"), [(n, e) for n, e in FORMATS if n != "a.parquet"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(
    name: str, encode: Callable[[Pairs], bytes], written: Written
) -> None:
    content = b"\xef\xbb\xbf" + encode(ROWS).replace(b"\n", b"\r\n")
    assert read(written(name, content)) == ROWS


@pytest.mark.parametrize(("name", "encode"), FORMATS[:3])
def test_the_last_line_needs_no_end(name: str, encode: Callable[[Pairs], bytes], written: Written) -> None:
    assert read(written(name, encode(ROWS).removesuffix(b"\n"))) == ROWS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b'id,sentence,text,emotion\n7,"a, b",no,joy\n'),
        ("a.jsonl", b'{"sentence": "a, b", "emotion": "joy", "text": "no"}\n'),
        ("a.json", b'[{"sentence": "a, b", "emotion": "joy", "text": "no"}]'),
    ],
)
def test_columns_may_be_named_otherwise(name: str, content: bytes, written: Written) -> None:
    (row,) = read_file(written(name, content), "sentence", "emotion")
    assert (row.text, row.label) == ("a, b", "joy")


@pytest.mark.parametrize(("name", "encode"), FORMATS[1:])
def test_a_text_may_have_several_lines_and_no_end(
    name: str, encode: Callable[[Pairs], bytes], written: Written
) -> None:
    rows = [("first\nsecond", "joy"), ("long " * 40_000, "fear")]  # csv refuses 128 KiB unless told otherwise
    assert read(written(name, encode(rows))) == rows


@pytest.mark.parametrize("encode", [jsonl, plain_json])
def test_unicode_line_separators_do_not_end_a_line(encode: Callable[[Pairs], bytes], written: Written) -> None:
    rows = [("one\u2028two\x85three", "joy")]
    assert read(written("a.json" if encode is plain_json else "a.jsonl", encode(rows))) == rows


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.txt", b"a;joy\nb;joy\n", [1, 2]),
        ("a.csv", b"text,label\na,joy\nb,joy\n", [2, 3]),  # as an editor counts, header included
        ("a.jsonl", jsonl(ROWS[:2]), [1, 2]),
        ("a.json", plain_json(ROWS[:2]), [1, 2]),
        ("a.parquet", parquet(ROWS[:2]), [1, 2]),
    ],
)
def test_every_row_knows_its_file_and_number(name: str, content: bytes, rows: list[int], written: Written) -> None:
    file = written(name, content)
    assert [row.place for row in read_file(file, "text", "label")] == [f"{file}, row {number}" for number in rows]


MALFORMED = {
    "no separator": ("a.txt", b"a;joy\nno label\n", "row 2 has no ';'"),
    "blank line": ("a.txt", b"a;joy\n\nb;joy\n", "row 2 has no ';'"),
    "NUL in lines": ("a.txt", b"a;joy\nb\x00;joy\n", "row 2 contains a NUL"),
    "NUL in CSV": ("a.csv", b"text,label\na,joy\nb\x00,joy\n", "row 3 contains a NUL"),
    "UTF-16": ("a.txt", "a;joy\n".encode("utf-16"), "row 1 contains a NUL"),
    "Latin-1 in lines": ("a.txt", "a;joy\nnaïve;joy\n".encode("latin-1"), "row 2 is not UTF-8"),
    "Latin-1 in CSV": ("a.csv", "text,label\nnaïve,joy\n".encode("latin-1"), "row 2 is not UTF-8"),
    "Latin-1 in JSON lines": ("a.jsonl", '{"text": "naïve", "label": "joy"}'.encode("latin-1"), "row 1 is not UTF-8"),
    "Latin-1 in JSON": ("a.json", '[\n{"text": "naïve", "label": "joy"}]'.encode("latin-1"), "row 2 is not UTF-8"),
    "CSV without text": ("a.csv", b"sentence,label\na,joy\n", "header has no column 'text'"),
    "CSV without label": ("a.csv", b"text,emotion\na,joy\n", "header has no column 'label'"),
    "CSV by semicolons": ("a.csv", b"text;label\na;joy\n", "header has no column 'text'"),
    "CSV without header": ("a.csv", b"a,joy\nb,joy\n", "header has no column 'text'"),
    "too few fields": ("a.csv", b"text,label\na,joy\nb\n", "row 3 has not as many fields"),
    "too many fields": ("a.csv", b"text,label\nb, and c,joy\n", "row 2 has not as many fields"),
    "unclosed quote": ("a.csv", b'text,label\na,joy\n"b,joy\nc,joy\nd,joy\n', "row 3 is no CSV"),
    "text after a quote": ("a.csv", b'text,label\na,joy\n"b"c,joy\nd,joy\n', "row 3 is no CSV"),
    "unclosed quote in the header": ("a.csv", b'text,"label\na,joy\n', "row 1 is no CSV"),
    "JSON lines cut short": ("a.jsonl", jsonl(ROWS[:2])[:-20], "row 2 is no valid JSON"),
    "JSON lines without label": ("a.jsonl", b'{"text": "a"}\n', "row 1 has no column 'label'"),
    "JSON lines of lists": ("a.jsonl", b'["a", "joy"]\n', "row 1 must be an object"),
    "JSON in the place of JSON lines": ("a.jsonl", plain_json(ROWS), "row 1 is no valid JSON"),
    "JSON cut short": ("a.json", plain_json(ROWS)[:-20], "is no valid JSON"),
    "JSON with a giant number": ("a.json", b"[" + b"9" * 5000 + b"]", "is no valid JSON"),
    "JSON without bottom": ("a.json", b"[" * 100_000, "is no valid JSON"),
    "JSON that is no list": ("a.json", b'{"text": "a", "label": "joy"}', "must be a list"),
    "JSON of strings": ("a.json", b'[{"text": "a", "label": "joy"}, "b"]', "row 2 must be an object"),
    "JSON without text": ("a.json", b'[{"sentence": "a", "label": "joy"}]', "row 1 has no column 'text'"),
    "instructions without output": ("a.json", b'[{"instruction": "i", "input": "a"}]', "row 1 has no column 'text'"),
    "parquet cut short": ("a.parquet", parquet(ROWS)[:-20], "is no readable parquet"),
    "parquet with a damaged page": (
        "a.parquet",
        parquet(ROWS)[:4] + b"\xff" * 40 + parquet(ROWS)[44:],
        "is no readable parquet",
    ),
    "no parquet at all": ("a.parquet", b"text,label\na,joy\n", "is no readable parquet"),
    "lines without a row": ("a.txt", b"", "holds no rows"),
    "CSV without anything": ("a.csv", b"", "has no column 'text'"),
    "CSV without a row": ("a.csv", b"text,label\n", "holds no rows"),
    "JSON lines without a row": ("a.jsonl", b"", "holds no rows"),
    "JSON without anything": ("a.json", b"", "is no valid JSON"),
    "JSON without a row": ("a.json", b"[]", "holds no rows"),
    "parquet without anything": ("a.parquet", b"", "is no readable parquet"),
    "parquet without a row": ("a.parquet", parquet([]), "holds no rows"),
    "unknown suffix": ("a.xlsx", b"a;joy\n", "format unknown here; use one of .csv, .json"),
}


@pytest.mark.parametrize(("name", "content", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_file_is_refused_with_file_and_row(name: str, content: bytes, said: str, written: Written) -> None:
    file = written(name, content)
    assert refusal(file).startswith(str(file))
    assert said in refusal(file)


def test_a_parquet_file_without_a_column_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "emotion": ["joy"]}), tmp_path / "a.parquet")
    assert f"{tmp_path}/a.parquet has no column 'label', only ['emotion', 'text']" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["nothing.txt", "folder.txt"])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    assert f"{tmp_path / name} is not a file" in refusal(tmp_path / name)
