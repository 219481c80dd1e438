"""Any record and any predictions survive the disk; anything else is refused."""

import json
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from factories import a_record
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Predictions
from benchmark.results.record import RunRecord
from benchmark.results.store import Run, encode_predictions

steady = settings(derandomize=True, deadline=None, max_examples=150)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


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
