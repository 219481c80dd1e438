import pytest

from benchmark.data.unlabelled import text_rows
from benchmark.errors import BenchmarkError

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("txt", [b"sad\r\n", b"glad\n"]),
        ("csv", [b"text\n", b"sad\n", b"glad\n"]),
        ("jsonl", [b'{"text": "sad"}\n', b"\n", b'{"text": "glad"}\n']),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_first_line_only(kind: str, lines: list[bytes]) -> None:
    marked = [MARK + lines[0], *lines[1:]]
    assert [row.text for row in text_rows(marked, kind, "texts")] == ["sad", "glad"]
    later = [row.text for row in text_rows([b"sad\n", MARK + b"glad\n"], "txt", "texts")]
    assert later == ["sad", "\ufeffglad"]


@pytest.mark.parametrize(("header", "found"), [(b"id,words\n", "no column"), (b"text,text\n", "more than one column")])
def test_a_column_that_is_missing_or_double_is_named(header: bytes, found: str) -> None:
    with pytest.raises(BenchmarkError) as refused:
        next(text_rows([header, b"1,sad\n"], "csv", "texts.csv"))
    columns = ", ".join(header.decode().strip().split(","))
    assert refused.value.problem == f"texts.csv, header: there is {found} 'text'; the columns are {columns}."


@pytest.mark.parametrize(("line", "problem"), [(b"\xff\n", "not UTF-8"), (b"a\x00\n", "NUL byte"), (b"a\rb\n", "lone")])
def test_a_wrong_line_is_named_by_its_number(line: bytes, problem: str) -> None:
    rows = text_rows([b"sad\n", line], "txt", "texts.txt")
    assert next(rows).text == "sad"
    with pytest.raises(BenchmarkError, match=rf"texts.txt, row 2: .*{problem}"):
        next(rows)
