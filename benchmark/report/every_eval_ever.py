"""A run in the schema of Every Eval Ever 0.3: a JSON document with the scores, and a JSON line for each test item.

No text of a data set is written. `input.raw` names the item instead: its id, and the hash of the test split it is in.
https://github.com/evaleval/every_eval_ever
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from benchmark.analysis.frame import label_names
from benchmark.analysis.inference import accuracy_interval
from benchmark.analysis.names import command
from benchmark.analysis.run_scores import METRICS, is_hub_dataset, scores_of
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import RunRecord
from benchmark.results.store import Run

VERSION = "0.3.0"
LIBRARY = "emotion-benchmark"
SCORES = {
    "accuracy": ("accuracy", "accuracy", False),
    "macro_f1": ("f1_macro", "f1", False),
    "calibration_error": ("expected_calibration_error", "calibration_error", True),
}
"""The id, the kind and whether less is better of each score that is written; all of them lie between 0 and 1."""


@dataclass(frozen=True)
class Evaluation:
    """A run with the key of its data set and the short name of its configuration."""

    run: Run
    dataset: str
    name: str

    @property
    def record(self) -> RunRecord:
        return self.run.record

    @property
    def model_id(self) -> str:
        """An id for each run, because every run is another model."""
        record = self.record
        return f"{LIBRARY}/{record.model}-{self.dataset}-{record.recipe}-seed{record.seed}-{record.digest[:8]}"

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.model_id}/{self.timestamp}"

    @property
    def timestamp(self) -> str:
        """The end of the run in seconds since 1970, so that every export of a run has the same content."""
        return str(int(datetime.fromisoformat(self.record.finished).timestamp()))

    @property
    def path(self) -> str:
        """The path of the files without their endings. The schema wants a UUID; the run's digest makes it."""
        name = uuid.UUID(self.record.digest[:32], version=4)
        return f"data/{self.dataset}/{self.model_id}/{name}"


def documents(evaluation: Evaluation) -> dict[str, bytes]:
    """The content of the two files of a run, by path."""
    samples = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _samples(evaluation)).encode()
    path = f"{evaluation.path}_samples.jsonl"
    whole = _aggregate(evaluation) | {
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": path,
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(samples).hexdigest(),
            "total_rows": len(evaluation.run.gold),
        }
    }
    content = json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n"
    return {f"{evaluation.path}.json": content, path: samples}


def _aggregate(evaluation: Evaluation) -> dict[str, Any]:
    record = evaluation.record
    git = record.environment.git
    return {
        "schema_version": VERSION,
        "evaluation_id": evaluation.id,
        "evaluation_timestamp": record.finished,
        "retrieved_timestamp": evaluation.timestamp,
        "source_metadata": {
            "source_name": "Emotion benchmark suite",
            "source_type": "evaluation_run",
            "source_organization_name": LIBRARY,
            "evaluator_relationship": "first_party" if record.trained else "third_party",
        },
        "eval_library": {"name": LIBRARY, "version": git.commit if git else "unknown"},
        "model_info": {
            "name": f"{evaluation.name}, seed {record.seed}",
            "id": evaluation.model_id,
            "developer": LIBRARY,
            "additional_details": _model(record),
        },
        "evaluation_results": [
            _result(evaluation, name, value) for name, value in scores_of(evaluation.run).items() if name in SCORES
        ],
    }


def _model(record: RunRecord) -> dict[str, str]:
    card, fit = record.card, record.fit
    here = card is None or card.computed_here
    return _strings(
        {
            "deployment_type": "self_deployed" if here else "unknown",
            "model_availability": "unknown",  # the pretrained weights may be open, but the run does not publish its own
            "pretrained_weights": card and card.weights,
            "parameters": card and card.parameters,
            "trained_parameters": fit and fit.trained_parameters,
            "precision": fit and fit.precision,
            "recipe": record.recipe,
            "seed": record.seed,
            "read-out": card and card.readout,
            "hardware": record.hardware if here else None,
            "run_digest": record.digest,
            "train_sha256": record.data_sha256.get("train"),
            "reduced": ", ".join(f"{limit} {what}" for what, limit in record.config.limits.items()) or None,
        }
    )


def _result(evaluation: Evaluation, name: str, value: float) -> dict[str, Any]:
    identifier, kind, lower_is_better = SCORES[name]
    details: dict[str, Any] = {"score": float(value)}
    if name == "accuracy":
        interval = accuracy_interval(np.array([evaluation.run.gold == evaluation.run.predictions.predicted]))
        bounds = {"lower": interval.low, "upper": interval.high, "confidence_level": 0.95, "method": "Wilson"}
        details["uncertainty"] = {"confidence_interval": bounds, "num_samples": len(evaluation.run.gold)}
    return {
        "evaluation_result_id": identifier,
        "evaluation_name": evaluation.dataset,
        "source_data": _source(evaluation),
        "metric_config": {
            "metric_id": identifier,
            "metric_name": METRICS[name][1],
            "metric_kind": kind,
            "metric_unit": "proportion",
            "lower_is_better": lower_is_better,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": details,
        "generation_config": {"generation_args": {"execution_command": command([evaluation.record], read_catalogue())}},
    }


def _source(evaluation: Evaluation) -> dict[str, Any]:
    """The test split and what was left out of it; the hub's data set is named only if its content is known."""
    record, rows = evaluation.record, len(evaluation.run.gold)
    tested = record.config.dataset.test or record.config.dataset
    details: dict[str, Any] = {"test_sha256": record.data_sha256.get("test"), "rows": rows}
    details["left_out"] = "rows with several labels" if tested.skip_multilabel else None
    of_hub: dict[str, Any] = {"source_type": "other"}
    hub = record.config.dataset.hub
    if hub is not None and is_hub_dataset(record):
        details |= {"configuration": hub.configuration, "revision": hub.revision}
        of_hub = {
            "source_type": "hf_dataset",
            "hf_repo": hub.id,
            "hf_split": hub.split_of("test"),
            "samples_number": rows,
        }
    return {"dataset_name": evaluation.dataset, **of_hub, "additional_details": _strings(details)}


def _samples(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """The rows of the test items. An answer that is none of the labels is `no label`; generated text is not copied."""
    run = evaluation.run
    names, split = label_names(evaluation.record.labels), evaluation.record.data_sha256.get("test")
    attribution = {"turn_idx": 0, "source": "output.raw", "extraction_method": "exact_match", "is_terminal": True}
    for item, gold, predicted in zip(run.ids, run.gold.tolist(), run.predictions.predicted.tolist(), strict=True):
        raw = f"The text {item} of the test split with SHA-256 {split}; not included."
        yield {
            "schema_version": VERSION,
            "evaluation_id": evaluation.id,
            "model_id": evaluation.model_id,
            "evaluation_name": evaluation.dataset,
            "evaluation_result_id": "accuracy",
            "sample_id": item,
            "sample_hash": hashlib.sha256(f"{raw}{names[gold]}".encode()).hexdigest(),
            "interaction_type": "single_turn",
            "input": {"raw": raw, "reference": [names[gold]], "choices": names[:-1]},
            "output": {"raw": [names[predicted]]},
            "messages": None,
            "answer_attribution": [{**attribution, "extracted_value": names[predicted]}],
            "evaluation": {"score": float(gold == predicted), "is_correct": gold == predicted},
        }


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    """The values that are known, as text, which the schema requires."""
    return {name: str(value) for name, value in values.items() if value is not None}
