"""Records: their JSON, what they refuse to read, and the facts that tables ask of them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from factories import FIT, RANDOM_FIT, a_record, data_report

from benchmark.errors import BenchmarkError
from benchmark.interface import AdapterSource, FitReport, WeightSource
from benchmark.results.environment import Environment, Git
from benchmark.results.record import SCHEMA_VERSION, Failure, RunRecord, Status, checksum, to_json

FAILED = a_record(status=Status.failed, failure=Failure("naïve — no GPU.", "Traceback ...", "Find one."))
ADAPTED = FitReport(weights=WeightSource(source="hub", id="a/b", adapter=AdapterSource("mine", "f" * 64)))


@pytest.mark.parametrize(
    "record",
    [
        a_record(),
        a_record("minilm", "recipe.learning_rate=0.001", seed=3),
        a_record("tfidf", dataset="synthetic", fit=None),
        a_record("smollm2_lora", "model.readout=generate", fit=ADAPTED),
        replace(a_record(), environment=Environment(packages={"torch": "2"}, git=Git("0" * 40, modified=True))),
        FAILED,
        a_record(status=Status.interrupted, failure=Failure("KeyboardInterrupt")),
        replace(FAILED, data=None, card=None, seconds={}),
    ],
)
def test_a_record_survives_a_round_trip_through_json(record: RunRecord) -> None:
    assert RunRecord.from_json(to_json(record), "record.json") == record


def test_json_holds_the_weight_source_without_empty_fields_and_no_data_folder() -> None:
    document = json.loads(to_json(a_record(fit=ADAPTED)))
    assert document["fit"]["weights"] == {
        "source": "hub", "id": "a/b", "adapter": {"name": "mine", "sha256": "f" * 64, "base": None},
    }  # fmt: skip
    assert "path" not in document["config"]["dataset"]


def test_the_checksum_covers_every_field_but_itself() -> None:
    document = json.loads(to_json(a_record()))
    assert document["checksum"] == checksum(document)
    for name in document.keys() - {"checksum"}:
        assert checksum({**document, name: "changed"}) != document["checksum"], name
    assert checksum({**document, "score": 1}) != document["checksum"]


def content(**changes: Any) -> str:
    return json.dumps(json.loads(to_json(a_record())) | changes)


def without(name: str) -> str:
    values = json.loads(content())
    del values[name]
    return json.dumps(values)


SPEC = json.loads(content())["config"]


@pytest.mark.parametrize(
    "damaged",
    [
        content()[:-30],
        "",
        "[1, 2]",
        "[" * 100_000,
        without("digest"),
        without("schema_version"),
        content(score=0.99),
        content(status="splendid"),
        content(fit={"curve": [], "weights": {}, "loss": 1}),
        content(fit={"curve": [[1, 2]], "weights": {}}),
        content(fit={"curve": [], "weights": {"from": "hub"}}),
        content(card={"size": 8}),
        content(config={"seed": 0}),
        content(config={**SPEC, "recipe": {**SPEC["recipe"], "epochs": -1}}),
        content(data={"splits": []}),
        content(environment={"host": "mine"}),
        content(failure="no GPU"),
        content(schema_version=0),
        content(schema_version="2"),
        content(schema_version=None),
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_record_is_refused_with_its_origin(damaged: str | bytes) -> None:
    with pytest.raises(BenchmarkError) as error:
        RunRecord.from_json(damaged, "some/record.json")
    assert error.value.problem.startswith("some/record.json is not a valid record")
    assert error.value.fix is not None


def test_a_record_of_a_newer_schema_asks_for_an_update() -> None:
    with pytest.raises(BenchmarkError) as error:
        RunRecord.from_json(content(schema_version=SCHEMA_VERSION + 1, new_field=1), "some/record.json")
    assert f"schema version {SCHEMA_VERSION + 1}" in error.value.problem
    assert error.value.fix == "Update the package."


@pytest.mark.parametrize(
    ("record", "is_result"),
    [
        (a_record(), True),
        (a_record(fit=None), True),
        (a_record("minilm", "recipe.learning_rate=0.1"), True),
        (a_record("tfidf", "dataset.train_rows=5"), False),
        (a_record("tfidf", "dataset.test_rows=5"), False),
        (a_record("minilm", "recipe.max_steps=5"), False),
        (a_record("minilm", fit=RANDOM_FIT), False),
        (a_record(status=Status.failed), False),
        (a_record(status=Status.interrupted), False),
    ],
)
def test_only_completed_unlimited_runs_of_pretrained_weights_are_results(record: RunRecord, is_result: bool) -> None:
    assert record.is_result is is_result


@pytest.mark.parametrize(
    ("record", "stand_in"),
    [
        (a_record("minilm"), None),
        (a_record("minilm", fit=RANDOM_FIT), "random weights"),
        (a_record("minilm", "model.weights.source=random", status=Status.failed), "random weights"),
        (a_record("minilm", status=Status.failed), None),
        (replace(FAILED, card=None), None),
        (
            a_record("minilm", fit=replace(FIT, weights=WeightSource(source="hub", endpoint="http://here"))),
            "weights from http://here, not the hub",
        ),
    ],
)
def test_weights_that_are_not_the_models_own_are_named(record: RunRecord, stand_in: str | None) -> None:
    assert record.stand_in == stand_in
    assert record.scorable is (stand_in is None)


@pytest.mark.parametrize(("rows", "scorable"), [(1, False), (2, True)])
def test_a_single_test_text_has_no_accuracy(rows: int, scorable: bool) -> None:
    assert a_record("tfidf", f"dataset.test_rows={rows}").scorable is scorable


def test_limits_name_what_was_limited() -> None:
    overrides = ("dataset.train_rows=5", "dataset.test_rows=6", "recipe.max_steps=7")
    assert a_record("minilm", *overrides).config.limits == {"training rows": 5, "test rows": 6, "steps": 7}
    assert a_record("minilm").config.limits == {}


def test_truncated_texts_are_counted_for_the_splits_that_were_read() -> None:
    record = replace(a_record(fit=replace(FIT, truncated_texts=7)), truncated_test_texts=4)
    assert record.truncated_texts == {"train": 7, "test": 4}
    assert replace(record, data=None).truncated_texts == {}
    assert a_record(fit=None).truncated_texts == {"train": 0, "test": 0}


@pytest.mark.parametrize(
    ("record", "seconds", "trained"),
    [
        (a_record(), 90.0, True),
        (a_record(fit=replace(FIT, training_seconds=None)), 100.0, True),
        (a_record(fit=replace(FIT, trained_parameters=0)), None, False),
        (a_record(fit=replace(FIT, trained_parameters=None)), 90.0, True),
        (replace(a_record(), seconds={"data": 1.0}), None, True),
        (a_record(fit=None), 100.0, True),
    ],
)
def test_training_seconds_are_the_models_own_or_those_of_fit(
    record: RunRecord, seconds: float | None, trained: bool
) -> None:
    assert record.training_seconds == seconds
    assert record.trained is trained


@pytest.mark.parametrize(("peaks", "memory"), [({"host": 3, "device": 2}, 2), ({"host": 3}, 3), ({}, None)])
def test_memory_is_the_gpus_if_one_was_used(peaks: dict[str, int], memory: int | None) -> None:
    assert replace(a_record(), peak_memory=peaks).memory == memory


@pytest.mark.parametrize(("fit", "hardware"), [(FIT, "P, 2 cores"), (replace(FIT, device="cuda:0"), "G"), (None, "G")])
def test_hardware_is_the_device_that_computed_or_the_best_of_the_machine(fit: FitReport | None, hardware: str) -> None:
    environment = Environment(processor="P", cores=2, gpu="G")
    assert replace(a_record(fit=fit), environment=environment).hardware == hardware


def test_hashes_of_the_data_are_empty_before_it_is_read() -> None:
    assert a_record().data_sha256 == data_report().hashes()
    assert replace(a_record(), data=None).data_sha256 == {}
