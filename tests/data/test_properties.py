"""What holds for any input: rows survive every format, records and predictions survive the disk, rubbish is refused."""

import csv
import io
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from factories import FORMATS, ROWS, Pairs, a_record
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.config import DatasetConfig
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Predictions
from benchmark.results.record import RunRecord
from benchmark.results.store import Run, encode_predictions

LABELS = sorted({label for _, label in ROWS})

steady = settings(derandomize=True, deadline=None, max_examples=150)


def quoted_csv(rows: Pairs) -> bytes:
    """Quotes around every field, so that a text may hold line ends of any kind."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    return file.getvalue().encode()


Encoders = list[tuple[str, Callable[[Pairs], bytes]]]
ENCODERS: Encoders = [*FORMATS, ("a.csv", quoted_csv)]
FOR_TEXTS_OF_SEVERAL_LINES: Encoders = [*FORMATS[2:], ("a.csv", quoted_csv)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def dataset(folder: Path, suffix: str, content: bytes) -> DatasetConfig:
    """A data set whose test split is this file."""
    place = folder / suffix
    place.mkdir(exist_ok=True)
    for split in ("train", "validation"):
        (place / f"{split}.txt").write_text(f"one;{LABELS[0]}\n")
    (place / f"test{suffix}").write_bytes(content)
    return DatasetConfig(name="mine", labels=LABELS, path=str(place))


def rows_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Pairs]:
    return st.lists(st.tuples(texts.filter(str.strip), st.sampled_from(LABELS)), min_size=1, max_size=6)


def survive(rows: Pairs, encoders: Encoders, folder: Path) -> None:
    hashes = set()
    for name, encode in encoders:
        splits = load(dataset(folder, Path(name).suffix, encode(rows)))
        found = [(text, LABELS[label]) for text, label in zip(splits.test.texts, splits.test.labels, strict=True)]
        assert found == rows
        hashes.add(splits.report.hashes()["test"])
    assert len(hashes) == 1


@steady
@given(rows=rows_of(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n"))))
def test_any_rows_are_the_same_rows_with_the_same_hash_in_every_format(rows: Pairs, folder: Path) -> None:
    if rows[0][0].startswith("\ufeff"):  # in lines that is a byte-order mark
        rows = [("a" + rows[0][0], rows[0][1]), *rows[1:]]
    survive(rows, ENCODERS, folder)


@steady
@given(rows=rows_of(st.text(st.sampled_from("\r\n a;,\"'\\\u2028\x85\ufeff雪"))))
def test_a_text_keeps_its_line_ends_in_every_format_that_can_hold_them(rows: Pairs, folder: Path) -> None:
    survive(rows, FOR_TEXTS_OF_SEVERAL_LINES, folder)


SCRAPS = [
    *(bytes([character]) for character in b'{}[]":,;\n\r\x00\xff 1-'),
    *(b"text", b"label", b"joy", b"null", b"NaN", b"1e999", b'"\\ud83d"', b"\xef\xbb\xbf", b"PAR1", b"9" * 5000),
    *(b'"text":', b'"label":', b"text,label\n", b'{"text": "a", "label": "joy"}'),
]


@st.composite
def damaged_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """Rubbish, scraps of the formats, or a sound file with a few bytes changed or its end cut off."""
    name, encode = draw(st.sampled_from(FORMATS))
    kind = draw(st.sampled_from(["rubbish", "scraps", "changed", "cut"]))
    if kind == "rubbish":
        return Path(name).suffix, draw(st.binary())
    if kind == "scraps":
        return Path(name).suffix, b"".join(draw(st.lists(st.sampled_from(SCRAPS))))
    content = bytearray(encode(ROWS))
    if kind == "cut":
        return Path(name).suffix, bytes(content[: draw(st.integers(0, len(content)))])
    for place in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = draw(st.integers(0, 255))
    return Path(name).suffix, bytes(content)


@settings(steady, max_examples=1500)
@given(file=damaged_files())
def test_any_bytes_are_read_or_refused_in_one_sentence(file: tuple[str, bytes], folder: Path) -> None:
    config = dataset(folder, *file)
    try:
        load(config)
    except BenchmarkError as error:
        sentence = str(error)
    else:
        return
    assert sentence.encode()
    assert "\n" not in sentence
    assert f"test{file[0]}" in sentence
    assert sentence.endswith(".")


TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False)
PLAIN = st.none() | st.booleans() | st.integers() | NUMBER | TEXT
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: NUMBER,
    str: TEXT,
    Any: JSON,
}


def values_of(hint: Any, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Anything of this type that JSON can hold; `known` are fields of a dataclass that need more than their type."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        unknown = {field.name: values_of(hints[field.name]) for field in fields(hint) if field.name not in known}
        return st.builds(hint, **unknown, **known)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return st.one_of(*map(values_of, arguments))
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    several = st.lists(values_of(arguments[0]), max_size=3)
    return several.map(tuple) if origin is tuple else several


LIMIT = st.none() | st.integers()
CONFIG = st.fixed_dictionaries(
    {
        "model": st.fixed_dictionaries({"name": TEXT, "title": TEXT, "parameters": OBJECT}),
        "dataset": st.fixed_dictionaries(
            {"name": TEXT, "labels": st.lists(TEXT, max_size=3), "train_rows": LIMIT, "test_rows": LIMIT}
        ),
        "recipe": st.fixed_dictionaries({"name": TEXT, "max_steps": LIMIT, "learning_rate": NUMBER}),
        "seed": st.integers(0, 2**32 - 1),
    }
)
VERSION = st.just(a_record().schema_version)


@steady
@given(record=values_of(RunRecord, config=CONFIG, schema_version=VERSION))
def test_any_record_is_read_back_as_it_was_written(record: RunRecord) -> None:
    text = json.dumps(asdict(record), ensure_ascii=False)
    assert RunRecord.from_json(text.encode(), "here") == record


@st.composite
def damaged_records(draw: st.DrawFn) -> str:
    """A record with a few of its values, however deep, replaced by others or gone."""
    document = json.loads(json.dumps(asdict(a_record())))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = document
        while True:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
                break
            place = place[key]
        if draw(st.booleans()):
            place[key] = draw(JSON)
        else:
            del place[key]
        if not document:
            break
    return json.dumps(document)


@settings(steady, max_examples=600)
@given(content=damaged_records() | JSON.map(json.dumps) | st.binary() | st.just("[" * 100_000))
def test_anything_else_is_no_record_and_says_so_in_one_sentence(content: str | bytes) -> None:
    try:
        RunRecord.from_json(content, "here")
    except BenchmarkError as error:
        sentence = str(error)
    else:
        return
    assert "\n" not in sentence
    assert sentence.startswith("here is no record of this suite (")


@st.composite
def answered(draw: st.DrawFn) -> tuple[tuple[str, ...], Examples, Predictions]:
    labels = tuple(draw(st.lists(st.text(), min_size=2, max_size=4, unique=True)))
    rows = draw(st.integers(1, 5))
    generated = draw(st.none() | st.lists(st.text(), min_size=rows, max_size=rows).map(tuple))
    ids = arrays(np.int64, rows, elements=st.integers(-1, len(labels) - 1))
    names = tuple(f"test-{row}" for row in range(rows))
    probabilities = draw(arrays(np.float32, (rows, len(labels))))
    return labels, Examples(names, names, np.abs(draw(ids))), Predictions(probabilities, draw(ids), generated)


@steady
@given(case=answered())
def test_any_predictions_are_read_back_bit_by_bit(
    case: tuple[tuple[str, ...], Examples, Predictions], folder: Path
) -> None:
    labels, test, predictions = case
    config = deepcopy(a_record().config)
    config["dataset"]["labels"] = list(labels)
    (folder / "predictions.parquet").write_bytes(encode_predictions(test, predictions, labels))
    run = Run(a_record(config=config), folder)
    assert run.gold.tolist() == test.labels.tolist()
    assert run.predictions.predicted.tolist() == predictions.predicted.tolist()
    assert run.predictions.probabilities.tobytes() == predictions.probabilities.tobytes()
    assert run.predictions.generated == predictions.generated
