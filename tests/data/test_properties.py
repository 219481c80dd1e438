"""Rows survive every format; any other bytes are read or refused with an error about the file."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from encoders import FORMATS, ROWS, Pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.load import load
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError

LABELS = sorted({label for _, label in ROWS})

reproducible = settings(derandomize=True, deadline=None, max_examples=150)


def quoted_csv(rows: Pairs) -> bytes:
    """CSV with every field quoted, so that a text may contain any line end."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    return file.getvalue().encode()


Encoders = list[tuple[str, Callable[[Pairs], bytes]]]
ENCODERS: Encoders = [*FORMATS, ("a.csv", quoted_csv)]
MULTILINE_ENCODERS: Encoders = [*FORMATS[3:], ("a.csv", quoted_csv)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def dataset(folder: Path, suffix: str, content: bytes) -> DatasetConfig:
    """A data set whose test split is this file."""
    subfolder = folder / suffix
    subfolder.mkdir(exist_ok=True)
    for split in ("train", "validation"):
        (subfolder / f"{split}.txt").write_text(f"one;{LABELS[0]}\ntwo;{LABELS[1]}\n")
    (subfolder / f"test{suffix}").write_bytes(content)
    return DatasetConfig(name="mine", labels=LABELS, path=str(subfolder))


def rows_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Pairs]:
    return st.lists(st.tuples(texts.filter(str.strip), st.sampled_from(LABELS)), min_size=1, max_size=6)


def assert_rows_survive(rows: Pairs, encoders: Encoders, folder: Path) -> None:
    hashes = set()
    for name, encode in encoders:
        splits = load(dataset(folder, Path(name).suffix, encode(rows)))
        found = [(text, LABELS[label]) for text, label in zip(splits.test.texts, splits.test.labels, strict=True)]
        assert found == rows
        hashes.add(splits.report.hashes()["test"])
    assert len(hashes) == 1


@reproducible
@given(rows=rows_of(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n\t"))))
def test_any_rows_are_the_same_rows_with_the_same_hash_in_every_format(rows: Pairs, folder: Path) -> None:
    if rows[0][0].startswith("\ufeff"):  # at the start of a file this is a byte-order mark
        rows = [("a" + rows[0][0], rows[0][1]), *rows[1:]]
    assert_rows_survive(rows, ENCODERS, folder)


@reproducible
@given(rows=rows_of(st.text(st.sampled_from("\t\r\n a;,\"'\\\u2028\x85\ufeff雪"))))
def test_a_text_keeps_its_line_ends_in_every_format_that_can_hold_them(rows: Pairs, folder: Path) -> None:
    assert_rows_survive(rows, MULTILINE_ENCODERS, folder)


FRAGMENTS = [
    *(bytes([character]) for character in b'{}[]":,;\n\r\x00\xff 1-'),
    *(b"text", b"label", b"joy", b"null", b"NaN", b"1e999", b'"\\ud83d"', b"\xef\xbb\xbf", b"PAR1", b"9" * 5000),
    *(b'"text":', b'"label":', b"text,label\n", b'{"text": "a", "label": "joy"}'),
]


@st.composite
def damaged_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """Random bytes, fragments of the formats, or a valid file with changed bytes or without its end."""
    name, encode = draw(st.sampled_from(FORMATS))
    kind = draw(st.sampled_from(["random", "fragments", "changed", "cut"]))
    if kind == "random":
        return Path(name).suffix, draw(st.binary())
    if kind == "fragments":
        return Path(name).suffix, b"".join(draw(st.lists(st.sampled_from(FRAGMENTS))))
    content = bytearray(encode(ROWS))
    if kind == "cut":
        return Path(name).suffix, bytes(content[: draw(st.integers(0, len(content)))])
    for position in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = draw(st.integers(0, 255))
    return Path(name).suffix, bytes(content)


@settings(reproducible, max_examples=1500)
@given(file=damaged_files())
def test_any_bytes_are_read_or_refused_with_the_file_named(file: tuple[str, bytes], folder: Path) -> None:
    config = dataset(folder, *file)
    try:
        load(config)
    except BenchmarkError as error:
        refusal = error
    else:
        return
    assert f"test{file[0]}" in refusal.problem
    assert refusal.fix
    for sentence in (refusal.problem, refusal.fix):
        assert sentence.encode()  # no surrogates
        assert "\n" not in sentence
        assert sentence.endswith(".")
