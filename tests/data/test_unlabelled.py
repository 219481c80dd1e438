import json

import pytest

from benchmark.data.examples import to_examples
from benchmark.data.rows import Row
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
    assert [row.text for row in text_rows(marked, kind, "texts")[1]] == ["sad", "glad"]
    later = [row.text for row in text_rows([b"sad\n", MARK + b"glad\n"], "txt", "texts")[1]]
    assert later == ["sad", "\ufeffglad"]


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_an_empty_line_is_an_empty_text_in_a_file_of_one_column_and_no_row_in_others(kind: str) -> None:
    assert [row.text for row in text_rows([b"text\n", b"a\n", b"\n", b"b\n"], kind, "texts")[1]] == ["a", "", "b"]
    tab = b"," if kind == "csv" else b"\t"
    lines = [b"id" + tab + b"text\n", b"1" + tab + b"a\n", b"\n", b"2" + tab + b"b\n"]
    assert [row.text for row in text_rows(lines, kind, "texts")[1]] == ["a", "b"]


def test_the_number_of_a_row_is_that_of_its_last_line() -> None:
    _, rows = text_rows([b"text\n", b'"a\n', b'b"\n'], "csv", "texts.csv")
    assert next(rows).row.location == "texts.csv, row 3"


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"id,words\n", "no column 'text'; the columns are id, words."),
        (b"text,text\n", "more than one column 'text'."),
        (b"text,note,note\n", "more than one column 'note'."),
    ],
)
def test_a_column_that_is_missing_or_double_is_named(header: bytes, found: str, lines: int) -> None:
    with pytest.raises(BenchmarkError) as refused:
        text_rows([header, b"1,sad\n"][:lines], "csv", "texts.csv")
    assert refused.value.problem == f"texts.csv, header: there is {found}"


def test_a_text_may_be_inside_another_column() -> None:
    lines = [b'{"content": {"text": "a", "by": null}}', b'{"content.text": "b"}', b'{"content": {}}']
    _, rows = text_rows(lines, "jsonl", "texts.jsonl", "content.text")
    assert [next(rows).text, next(rows).text] == ["a", "b"]
    with pytest.raises(BenchmarkError, match=r"row 3: there is no column 'content\.text'"):
        next(rows)


def test_a_key_that_repeats_in_a_row_is_refused() -> None:
    _, rows = text_rows([b'{"text": "a", "note": 1, "note": 2}'], "jsonl", "texts.jsonl")
    with pytest.raises(BenchmarkError, match="texts.jsonl, row 1: there is more than one column 'note'."):
        next(rows)


@pytest.mark.parametrize(
    ("text", "problem"), [(None, "of type NoneType"), (3, "of type int"), ("cut \ud800", "surrogate pair")]
)
def test_a_wrong_text_is_refused_as_in_a_data_set(text: object, problem: str) -> None:
    with pytest.raises(BenchmarkError, match=f"texts.jsonl, row 1: the text .*{problem}") as refused:
        next(text_rows([json.dumps({"text": text}).encode()], "jsonl", "texts.jsonl")[1])
    if text is not None:  # there, it is an empty text
        with pytest.raises(BenchmarkError) as same:
            to_examples("train", [Row(text, "joy", "texts.jsonl, row 1")], ["joy"])
        assert (same.value.problem, same.value.fix) == (refused.value.problem, refused.value.fix)


@pytest.mark.parametrize(("line", "problem"), [(b"\xff\n", "not UTF-8"), (b"a\x00\n", "NUL byte"), (b"a\rb\n", "lone")])
def test_a_wrong_line_is_named_by_its_number(line: bytes, problem: str) -> None:
    _, rows = text_rows([b"sad\n", line], "txt", "texts.txt")
    assert next(rows).text == "sad"
    with pytest.raises(BenchmarkError, match=rf"texts.txt, row 2: .*{problem}"):
        next(rows)
