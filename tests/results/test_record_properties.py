"""Any record and any predictions are read back as written; anything else is refused."""

import json
from dataclasses import fields, is_dataclass
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

from benchmark.config import ModelConfig, RunSpec
from benchmark.dataset_config import SPLITS, DatasetConfig, HubDataset, Synthetic
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Predictions, Recipe
from benchmark.results.record import RunRecord, to_json
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
    """Values of this type that JSON can hold. `known` are fields of a dataclass whose type allows invalid values."""
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


POSITIVE = st.floats(min_value=1e-9, max_value=1e9)
COUNT = st.integers(1, 10**9)
SHARE = st.floats(0.01, 0.99)
SYNTHETIC = values_of(Synthetic, train=COUNT, validation=COUNT, test=COUNT, flipped_share=SHARE)
HUB = values_of(HubDataset, id=st.just("owner/name"), splits=st.none() | st.just({"train": "a", "test": "b"}))
DATASET = values_of(
    DatasetConfig,
    hub=st.none() | HUB,
    files=st.none(),  # no part of a record
    test=st.none() | st.just(DatasetConfig("other", ["a", "b"], skip_multilabel=True)),
    test_labels=st.none(),
    labels=st.lists(TEXT, min_size=2, max_size=3, unique=True),
    path=st.none(),
    sha256=st.dictionaries(st.sampled_from(SPLITS), TEXT),
    synthetic=st.none() | SYNTHETIC,
    validation_share=SHARE,
    train_rows=st.none() | COUNT,
    validation_rows=st.none() | COUNT,
    test_rows=st.none() | COUNT,
)
RECIPE = values_of(
    Recipe,
    learning_rate=POSITIVE,
    max_gradient_norm=POSITIVE,
    epochs=POSITIVE,
    weight_decay=POSITIVE,
    warmup_ratio=SHARE,
    batch_size=COUNT,
    gradient_accumulation_steps=COUNT,
    max_length=COUNT,
    max_steps=st.none() | COUNT,
    label_smoothing=SHARE,
    patience=st.none(),
)
SPEC = st.builds(RunSpec, model=values_of(ModelConfig), dataset=DATASET, recipe=RECIPE, seed=st.integers(0, 2**32 - 1))
VERSION = st.just(a_record().schema_version)


@steady
@given(record=values_of(RunRecord, config=SPEC, schema_version=VERSION))
def test_any_record_is_read_back_as_it_was_written(record: RunRecord) -> None:
    assert RunRecord.from_json(to_json(record), "here") == record


@st.composite
def damaged_records(draw: st.DrawFn) -> str:
    """A record with up to three values, at any depth, replaced or deleted."""
    document = json.loads(to_json(a_record()))
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
def test_anything_else_is_refused_with_its_origin_in_one_line(content: str | bytes) -> None:
    refused: BenchmarkError | None = None
    try:
        RunRecord.from_json(content, "here")
    except BenchmarkError as error:
        refused = error
    assert refused is None or (refused.problem.startswith("here ") and "\n" not in str(refused) and refused.fix)


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
    (folder / "predictions.parquet").write_bytes(encode_predictions(test, predictions, labels))
    run = Run(a_record("tfidf", f"dataset.labels={json.dumps(labels)}"), folder)
    assert run.gold.tolist() == test.labels.tolist()
    assert run.predictions.predicted.tolist() == predictions.predicted.tolist()
    assert run.predictions.probabilities.tobytes() == predictions.probabilities.tobytes()
    assert run.predictions.generated == predictions.generated
