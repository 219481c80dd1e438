"""What identifies configurations, learning curves and trainings: hashes of what their runs share."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

import pandas as pd

from benchmark.config import RunSpec, identity_of
from benchmark.results.record import RunRecord

PROMPT_OPTIONS = ("prompt", "instruction", "chat_template")
"""The parameters of a decoder that say how it is asked. Runs do not publish the default prompt."""


def seed_independent_spec(spec: RunSpec, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """The model, data set and recipe as JSON, without the options `leave_out`, such as dataset.train_rows.

    The result is equal for runs that differ only in their seed and in these options.
    """
    values = identity_of(spec.as_json())
    return _without({group: values[group] for group in ("model", "dataset", "recipe")}, leave_out)


def short_hash(*parts: Any, digits: int = 12) -> str:
    """The first hexadecimal `digits` of the SHA-256 of `parts` as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:digits]


def with_data_in_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the column `configuration` replaced by a hash of configuration and content of the data.

    A run that ended before its data were read takes the content of the other runs of its configuration, if they all
    have the same. It is left out if one of them has its seed.
    """
    frame = frame.copy()
    kept = pd.Series(True, index=frame.index)
    for _, group in frame.groupby("configuration", sort=False):
        read, unread = group[group["_content"] != ""], group[group["_content"] == ""]
        if read["_content"].nunique() == 1:
            frame.loc[unread.index, "_content"] = read["_content"].iloc[0]
            kept[unread.index] = ~unread["seed"].isin(read["seed"])
    frame["configuration"] = list(map(short_hash, frame["configuration"], frame["_content"]))
    return frame[kept].drop(columns="_content")


def trained_by(records: dict[str, RunRecord]) -> dict[str, str | None]:
    """The run that saved the loaded adapter, by the name of the run that loads it; None for a run that loads none.

    Runs of schema 1 did not record the hash of what they saved. Their adapter's folder is named like the run.
    """
    fits = {name: record.fit for name, record in records.items() if record.fit}
    saved = {fit.saved_sha256: name for name, fit in fits.items() if fit.saved_sha256 and records[name].trained}
    folders = {name.rpartition("/")[2]: name for name in fits}
    loaded = {name: fit.weights.adapter for name, fit in fits.items() if fit.weights.adapter}
    origins = {name: saved.get(adapter.sha256) or folders.get(adapter.name) for name, adapter in loaded.items()}
    return dict.fromkeys(records) | origins


def training_id(record: RunRecord, origin: RunRecord | None) -> str | None:
    """An id of the training behind a run: a hash of weights, adapter, recipe, data and prompt.

    Runs that read the answers of one trained model in different ways share it, if they ask in the way of the training.
    None if the model has one read-out only, or does not say what it trains.
    """
    source = origin or record
    card = source.card or record.card
    if record.card is None or not record.card.readout or card is None or card.training is None:
        return None
    adapter = record.fit.weights.adapter if record.fit else None
    foreign = adapter.sha256 if adapter and not origin else None
    spec = identity_of(source.config.as_json())
    asked = [[run.config.model.parameters.get(option) for option in PROMPT_OPTIONS] for run in (source, record)]
    return short_hash(card.training, spec["recipe"], spec["dataset"], source.data_sha256, foreign, asked)


def _without(values: dict[str, Any], leave_out: Collection[str], prefix: str = "") -> dict[str, Any]:
    """The nested values without the paths `leave_out`."""
    return {
        name: _without(value, leave_out, f"{prefix}{name}.") if isinstance(value, dict) else value
        for name, value in values.items()
        if f"{prefix}{name}" not in leave_out
    }
