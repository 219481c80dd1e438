"""Configurations that differ from another one only in a training option that was tried, such as class weights."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

import pandas as pd

from benchmark.analysis.configurations import with_results
from benchmark.analysis.frame import Results
from benchmark.analysis.identity import seed_independent_spec, short_hash
from benchmark.interface import Recipe
from benchmark.results.record import RunRecord

OPTIONS = ("class_weights", "label_smoothing", "keep", "patience")
"""The training options of the recipe that are examined."""
SOFT_LABELS = "soft_labels"
"""The option of a model that is examined: a file with the probabilities of a teacher."""
DEFAULTS: dict[str, Any] = {option.name: option.default for option in fields(Recipe) if option.name in OPTIONS}


def tried_options(results: Results, configurations: pd.DataFrame) -> list[tuple[pd.Series, pd.Series, str]]:
    """Each configuration with tried training options, its counterpart with the defaults, and the values in words."""
    table = with_results(configurations)
    records = [results.runs_by_name[run].record for run in table["run"]]
    paths = [*(f"recipe.{option}" for option in OPTIONS), f"model.parameters.{SOFT_LABELS}"]
    keys = [key_without(record, paths) for record in records]
    changed = [_changed_options(record) for record in records]
    rows = [row for _, row in table.iterrows()]
    plain = {key: row for key, row, options in zip(keys, rows, changed, strict=True) if not options}
    return [
        (row, plain[key], ", ".join(options))
        for key, row, options in zip(keys, rows, changed, strict=True)
        if options and key in plain
    ]


def without_ablations(results: Results, configurations: pd.DataFrame) -> pd.DataFrame:
    """The configurations that `tried_options` does not return, so that a headline is not the best of many options."""
    tried = [row["configuration"] for row, _, _ in tried_options(results, configurations)]
    return configurations[~configurations["configuration"].isin(tried)]


def key_without(record: RunRecord, leave_out: Collection[str]) -> str:
    """A hash that is equal for runs which differ only in their seed, in changed test texts, and in `leave_out`."""
    before = record.data and record.data.unperturbed_sha256
    data = record.data_sha256 | ({"test": before} if before else {})
    return short_hash(seed_independent_spec(record.config, leave_out), data)


def _changed_options(record: RunRecord) -> list[str]:
    """The examined options that have another value than their default; a file without its hash."""
    recipe, file = record.config.recipe, record.config.model.parameters.get(SOFT_LABELS)
    changed = [f"{name}={getattr(recipe, name)}" for name in OPTIONS if getattr(recipe, name) != DEFAULTS[name]]
    return [*changed, *([f"{SOFT_LABELS}={file.partition('@')[0]}"] if file else [])]
