"""Records of schema 1 are read as records of today, with their digests and without being rewritten."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from factories import FIT, a_record

from benchmark.config import digest_of
from benchmark.results import schema1
from benchmark.results.record import RunRecord, Status, to_json

NEW_CARD_FIELDS = (
    "kind", "settings", "readout", "training", "random_weights", "computed_here", "learns", "base_model", "library",
    "usage",
)  # fmt: skip


def as_schema1(record: RunRecord, **changes: Any) -> dict[str, Any]:
    """The document that schema 1 would hold."""
    document = json.loads(to_json(record)) | {"schema_version": 1}
    del document["checksum"]
    if document["card"] is not None:
        document["card"] = {key: value for key, value in document["card"].items() if key not in NEW_CARD_FIELDS}
    document |= changes
    return document | {"seal": schema1.seals(document)}


def read(document: dict[str, Any]) -> RunRecord:
    return RunRecord.from_json(json.dumps(document), "record.json")


@pytest.mark.parametrize(
    ("model", "overrides", "expected"),
    [
        ("majority", (), {"kind": "constant", "learns": False, "library": None, "settings": {}}),
        ("tfidf", (), {"kind": "linear", "learns": True, "library": "sklearn", "base_model": None}),
        ("external", (), {"kind": "external", "computed_here": False, "library": None}),
        (
            "bert_base",
            (),
            {
                "kind": "encoder", "library": "transformers", "base_model": "google-bert/bert-base-uncased",
                "settings": {"precision": "fp32", "attention": "sdpa", "lora_rank": "none"}, "readout": None,
                "training": None, "random_weights": False, "computed_here": True,
            },
        ),
        ("bert_base", ("model.weights.source=random",), {"random_weights": True, "base_model": None}),
        ("bert_base", ("model.weights.source=folder",), {"random_weights": False, "base_model": None}),
        (
            "smollm2_lora",
            ("model.precision=bf16",),
            {
                "kind": "decoder", "library": "peft", "base_model": None, "readout": "constrained labels",
                "settings": {"precision": "bf16", "attention": "sdpa", "lora_rank": 8},
            },
        ),
        ("smollm2_lora", ("model.readout=generate",), {"readout": "free generation"}),
        ("smollm2_head", (), {"readout": "classification head"}),
    ],
)  # fmt: skip
def test_a_card_gets_its_new_fields_from_the_parameters(
    model: str, overrides: tuple[str, ...], expected: dict[str, Any]
) -> None:
    card = read(as_schema1(a_record(model, *overrides))).card
    assert card is not None
    assert {name: asdict(card)[name] for name in expected} == expected


def test_readouts_of_the_same_training_are_known_as_such() -> None:
    def training(model: str, *overrides: str) -> str | None:
        card = read(as_schema1(a_record(model, *overrides))).card
        return card and card.training

    labels = training("smollm2_lora")
    assert labels is not None
    assert labels == training("smollm2_lora", "model.readout=generate") == training("smollm2_head")
    others = ("model.precision=bf16", "model.lora.rank=16", "model.weights.source=random")
    assert len({labels, *(training("smollm2_lora", other) for other in others)}) == 4


@pytest.mark.parametrize(
    ("message", "trace", "problem", "fix"),
    [
        ("There is no GPU; set model.device=cpu.", None, "There is no GPU.", "Set model.device=cpu."),
        ("a is 1; use 2; or 3.", None, "a is 1.", "Use 2; or 3."),
        ("KeyboardInterrupt", None, "KeyboardInterrupt", None),
        ("index 7; size 3", "Traceback ...", "index 7; size 3", None),
    ],
)
def test_a_failure_becomes_a_problem_and_a_fix(message: str, trace: str | None, problem: str, fix: str | None) -> None:
    record = a_record(status=Status.failed)
    failure = read(as_schema1(record, failure={"message": message, "traceback": trace})).failure
    assert failure is not None
    assert (failure.message, failure.traceback, failure.fix) == (problem, trace, fix)


def test_a_run_that_failed_early_has_no_card() -> None:
    record = read(as_schema1(a_record(status=Status.failed), card=None, data=None, failure={"message": "no."}))
    assert (record.card, record.data) == (None, None)


def test_everything_else_is_kept() -> None:
    record = a_record("minilm", fit=FIT)
    assert record.card is not None
    upgraded = read(as_schema1(record))
    assert upgraded == replace(record, card=replace(record.card, usage=None))
    assert upgraded.schema_version == 2


@pytest.mark.parametrize(
    ("override", "upgraded"),
    [
        ("model.adapter=mine", "model.adapter=DIR/mine"),
        ("+model.weights.path=mine", "+model.weights.path=DIR/mine"),
        ("--config-dir=conf", "--config-dir=DIR/conf"),
        ("model.weights={source:folder,path:mine}", "model.weights={source:folder,path:DIR/mine}"),
        ("model.weights={path:mine, source: folder}", "model.weights={path:DIR/mine, source: folder}"),
        ("model.adapter=null", "model.adapter=null"),
        ("recipe.epochs=1", "recipe.epochs=1"),
    ],
)
def test_paths_in_overrides_are_marked_as_such(override: str, upgraded: str) -> None:
    assert read(as_schema1(a_record(), overrides=[override])).overrides == [upgraded]


def test_a_seal_changes_with_its_field_only() -> None:
    document = as_schema1(a_record())
    changed = schema1.seals({**document, "seconds": {"fit": 1.0}})
    assert {name for name in changed if changed[name] != document["seal"][name]} == {"seconds"}
    assert "seal" not in changed


def test_every_shipped_record_of_schema_1_has_its_seals_and_its_digest(shipped: Path) -> None:
    records = sorted(shipped.glob("results/runs/*/*/*/record.json"))
    found = [(path, json.loads(path.read_bytes())) for path in records]
    old = {path: document for path, document in found if document["schema_version"] == 1}
    assert old
    for path, document in old.items():
        record = read(document)
        assert document["seal"] == schema1.seals(document), path
        assert digest_of(record.config.as_json(), record.data_sha256) == record.digest == document["digest"], path
        assert RunRecord.from_json(to_json(record), "record.json") == record, path
