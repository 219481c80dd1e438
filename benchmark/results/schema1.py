"""Records of schema 1, brought to the present schema when they are read.

Their model cards lack what tables need now. It is derived from the model's parameters, which in schema 1 had fixed
names. Files are never rewritten, and digests do not change.
"""

import hashlib
import json
from typing import Any

READOUTS = {"labels": "constrained labels", "generate": "free generation", "head": "classification head"}
LIBRARIES = {"linear": "sklearn", "encoder": "transformers", "decoder": "peft"}
TRAINED = ("encoder", "decoder")  # by gradient descent


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The record with a complete card, under the present schema version."""
    values = values | {"schema_version": 2}
    if values["card"] is not None:
        values["card"] = values["card"] | card_fields(values["config"]["model"])
    if values["failure"] is not None:
        problem, _, fix = values["failure"]["message"].partition("; ")  # schema 1 wrote both in one sentence
        values["failure"] = values["failure"] | {"message": problem, "fix": fix or None}
    return values


def seals(document: dict[str, Any]) -> dict[str, str]:
    """What schema 1 has in place of a checksum: a short hash of every field."""
    fields = {name: json.dumps(value, sort_keys=True) for name, value in document.items() if name != "seal"}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in fields.items()}


def card_fields(model: dict[str, Any]) -> dict[str, Any]:
    family, parameters = model["family"], model["parameters"]
    weights = parameters.get("weights") or {}
    hub = weights.get("hub") if weights.get("source") in ("hub", "wheel") else None
    fields: dict[str, Any] = {
        "kind": family,
        "random_weights": weights.get("source") == "random",
        "computed_here": family != "external",
        "learns": family != "constant",
        "base_model": hub["id"] if hub else None,
        "library": LIBRARIES.get(family),
    }
    if family in TRAINED:
        fields["settings"] = {
            "precision": parameters["precision"],
            "attention": parameters["attention"],
            "lora_rank": parameters.get("lora", {}).get("rank", "none"),
        }
    if "readout" in parameters:
        trained = json.dumps([weights, parameters["precision"], parameters["lora"]], sort_keys=True)
        fields["readout"] = READOUTS[parameters["readout"]]
        fields["training"] = hashlib.sha256(trained.encode()).hexdigest()[:16]
    return fields
