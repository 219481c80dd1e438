"""The JSON that `python -m benchmark.speed` writes: what all its measurements say of model and machine, and where."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig, RunSpec
from benchmark.data.load import Splits
from benchmark.files import replacing
from benchmark.interface import FitReport
from benchmark.results import environment


def describe_model_and_machine(spec: RunConfig | RunSpec, fit: FitReport, device_shared: bool | None) -> dict[str, Any]:
    """The model, what its weights are, and the machine; `device_shared` is that of `Environment`."""
    machine = replace(environment.describe(), device_shared=device_shared)
    return {
        "model": spec.model.name,
        "title": spec.model.title,
        "recipe": spec.recipe.name,
        "pretrained": fit.weights.stand_in is None,
        "device": machine.hardware(fit.device),
        "environment": asdict(machine),
    }


def describe_rows(spec: RunConfig, splits: Splits) -> dict[str, Any]:
    """The data set, how many rows a measurement may train on, and how many the whole training split has."""
    return {"dataset": spec.dataset.name, "train": len(splits.train), "dataset_train": splits.whole_train_rows}


def write(document: dict[str, Any], results_dir: str, suffix: str = "") -> Path:
    """Write the figures of a model as JSON into the folder of their device; returns the file."""
    name = document["model"] + ("" if document["pretrained"] else "-random") + suffix
    path = device_folder(document["device"], results_dir) / f"{name}.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def device_folder(device: str, results_dir: str) -> Path:
    """The folder for measurements on this device, as `Environment.hardware` names it."""
    return Path(results_dir) / "speed" / re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
