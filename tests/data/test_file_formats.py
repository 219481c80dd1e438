from collections.abc import Callable
from pathlib import Path

import pytest
from encoders import FORMATS, ROWS, Pairs, jsonl, parquet, plain_json

from benchmark.data.file_formats import READERS, ColumnNames, read_file


def read(file: Path) -> Pairs:
    return [(row.text, row.label) for row in read_file(file, ColumnNames())]


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


@pytest.mark.parametrize(("name", "encode"), FORMATS[:4])
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
    (row,) = read_file(written(name, content), ColumnNames("sentence", "emotion"))
    assert (row.text, row.label) == ("a, b", "joy")


@pytest.mark.parametrize(("name", "encode"), FORMATS[2:])
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
        ("a.tsv", b"text\tlabel\na\tjoy\nb\tjoy\n", [2, 3]),
        ("a.csv", b"text,label\na,joy\nb,joy\n", [2, 3]),  # as an editor counts, header included
        ("a.jsonl", jsonl(ROWS[:2]), [1, 2]),
        ("a.json", plain_json(ROWS[:2]), [1, 2]),
        ("a.parquet", parquet(ROWS[:2]), [1, 2]),
    ],
)
def test_every_row_knows_its_file_and_number(name: str, content: bytes, rows: list[int], written: Written) -> None:
    file = written(name, content)
    assert [row.location for row in read_file(file, ColumnNames())] == [f"{file}, row {number}" for number in rows]
