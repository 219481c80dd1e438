"""Upgrades records of schema 1 when they are read. Their files are never rewritten, and digests do not change.

The cards of schema 1 lack fields that tables need. They are derived from the model's parameters, which had fixed
names then.
"""

import hashlib
import json
import re
from typing import Any

from benchmark.interface import Readout

LIBRARIES = {"linear": "sklearn", "encoder": "transformers", "decoder": "peft"}
FINE_TUNED = ("encoder", "decoder")  # the families trained by gradient descent


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """The record with a complete card, under the present schema version."""
    values = values | {"schema_version": 2, "overrides": [_with_folder(override) for override in values["overrides"]]}
    if values["card"] is not None:
        values["card"] = values["card"] | card_fields(values["config"]["model"])
    if values["failure"] is not None:
        values["failure"] = _two_sentences(values["failure"])
    return values


def seals(document: dict[str, Any]) -> dict[str, str]:
    """A short hash of every field, which schema 1 stores as `seal` in place of a checksum."""
    fields = {name: json.dumps(value, sort_keys=True) for name, value in document.items() if name != "seal"}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in fields.items()}


def card_fields(model: dict[str, Any]) -> dict[str, Any]:
    """The fields of a card that schema 1 did not store, from the model's part of the configuration."""
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
    if family in FINE_TUNED:
        fields["settings"] = {
            "precision": parameters["precision"],
            "attention": parameters["attention"],
            "lora_rank": parameters.get("lora", {}).get("rank", "none"),
        }
    if "readout" in parameters:
        chosen = {option: value for option, value in weights.items() if value is not None}
        trained = json.dumps([chosen, parameters["precision"], parameters["lora"]], sort_keys=True)
        fields["readout"] = Readout[parameters["readout"]].value
        fields["training"] = hashlib.sha256(trained.encode()).hexdigest()[:16]
    return fields


def _with_folder(override: str) -> str:
    """The override with DIR/ for the folder of a path, of which schema 1 keeps only the last part."""
    return re.sub(r"((^--config-dir|\.path|\.adapter)=|\b(path|adapter): ?)(?!null\b)", r"\g<0>DIR/", override)


def _two_sentences(failure: dict[str, Any]) -> dict[str, Any]:
    """The failure in two sentences. Schema 1 wrote "problem; fix." unless a traceback follows."""
    problem, separator, fix = failure["message"].partition("; ")
    if failure.get("traceback") is not None or not separator:
        return failure | {"fix": None}
    return failure | {"message": f"{problem}.", "fix": fix[:1].upper() + fix[1:]}
