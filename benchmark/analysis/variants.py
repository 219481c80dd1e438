"""Runs that differ in nothing but their seed: what a row of most tables and a line of most figures speaks of."""

import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.metrics import METRICS
from benchmark.analysis.statistics import accuracy_interval
from benchmark.results.catalogue import read_contestants
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run


@dataclass(frozen=True)
class Variant:
    """Runs that differ in nothing but their seed."""

    runs: list[Run]

    @property
    def first(self) -> RunRecord:
        return self.runs[0].record

    @cached_property
    def completed(self) -> list[Run]:
        return [run for run in self.runs if run.record.status is Status.completed]

    @cached_property
    def results(self) -> list[Run]:
        return [run for run in self.runs if run.record.is_result]

    @property
    def counted(self) -> list[Run]:
        """The runs that a row speaks of: the results; of a trial whatever completed, without stand-ins if it can be."""
        return self.results or [run for run in self.completed if run.record.pretrained] or self.completed

    @property
    def leading(self) -> Run:
        """The first of them, by which rows and links address the variant; of none, the first run of all."""
        return (self.counted or self.runs)[0]

    @cached_property
    def failed(self) -> list[Run]:
        return [run for run in self.runs if run.record.status is not Status.completed]

    @property
    def hardware(self) -> list[str]:
        """What the counted runs were computed on, first what computed most of them."""
        return [name for name, _ in Counter(run.record.hardware for run in self.counted).most_common()]

    @property
    def timed(self) -> list[Run]:
        """The counted runs of the first of these: times and memory of several machines have no mean."""
        return [run for run in self.counted if run.record.hardware == self.hardware[0]]

    @property
    def name(self) -> str:
        """Model and recipe: how figures and comparisons call it."""
        return f"{self.first.title}, {self.recipe}"

    @property
    def is_trial(self) -> bool:
        """Whether no seed of it can ever be a result: rows or steps are limited, or the weights random."""
        weights = self.first.config["model"]["parameters"].get("weights") or {}
        random = weights.get("source") == "random" or any(not run.record.pretrained for run in self.counted)
        return random or bool(self.first.limits)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which test items each result got right, (seeds, items)."""
        return right_answers(self.results)

    @cached_property
    def accuracy(self) -> float:
        """The mean over the seeds with a result."""
        return mean_accuracy(self.results)

    @property
    def recipe(self) -> str:
        """The recipe and whatever else was set, an adapter's name last: figures cut what is too long."""
        return ", ".join([self.first.recipe, *shortened(self.settings)])

    @cached_property
    def settings(self) -> list[str]:
        """What sets it apart from the model as shipped and from `recipe=paper`, if that is what it goes by.

        All that differs, whether the command line or an experiment's file set it; of the data and of any other recipe
        what was overridden on the command line.
        """
        return settings_of(self.first)


NAMES = ("model.name=", "model.title=", "dataset.name=", "recipe.name=")
"""What every row shows in a column of its own."""


def settings_of(record: RunRecord) -> list[str]:
    """See `Variant.settings`; of a model that nobody shipped, what was overridden."""
    given = [override for override in given_options(record) if not override.lstrip("+").startswith(NAMES)]
    shipped = read_contestants().get(record.model)
    if shipped is None:
        return given
    usual, used = shipped.config, record.config
    compared = {"model": (usual["model"]["parameters"], used["model"]["parameters"])}
    if used["recipe"]["name"] == usual["recipe"]["name"]:
        compared["recipe"] = (usual["recipe"], used["recipe"])
    changes = [change for group, (one, other) in compared.items() for change in _changes(one, other, group)]
    return sorted([*changes, *(override for override in given if _group(override) not in compared)])


def _group(override: str) -> str:
    return override.lstrip("+~").partition(".")[0]


def _changes(shipped: dict[str, Any], used: dict[str, Any], group: str) -> Iterator[str]:
    """The options that are not as shipped, as overrides; of what was read, the name without its hash."""
    for name, value in used.items():
        option, usual = f"{group}.{name}", shipped.get(name)
        if isinstance(value, dict):
            yield from _changes(usual if isinstance(usual, dict) else {}, value, option)
        elif value != usual or name not in shipped:
            yield f"{option}={value.partition('@')[0] if name in ('adapter', 'path') and value else _as_typed(value)}"


def _as_typed(value: object) -> str:
    """As it would be typed on a command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def given_options(record: RunRecord) -> list[str]:
    """What the command line overrode besides the choices that every row names."""
    own = (
        "--config-dir=",
        "model=",
        "dataset=",
        "recipe=",
        "seed=",
        "experiment=",
        "force=",
        "report_to=",
        "dataset.train_rows=null",
    )
    return sorted(override for override in record.overrides if not override.lstrip("+").startswith(own))


def right_answers(runs: list[Run]) -> npt.NDArray[np.bool_]:
    """Which test items each run got right, (runs, items)."""
    return np.stack([run.gold == run.predictions.predicted for run in runs])


def metric(run: Run, name: str) -> float:
    """A metric of `METRICS`, computed from the stored predictions."""
    return METRICS[name](run.gold, run.predictions.predicted, run.predictions.probabilities)


def scores(runs: list[Run]) -> dict[str, float | None]:
    """Means over seeds; `spread` is their standard deviation, low and high the 95% interval of accuracy."""
    correct = right_answers(runs)
    interval, by_seed = accuracy_interval(correct), correct.mean(axis=1)
    return {
        "accuracy": mean_accuracy(runs),
        "spread": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "low": interval.low,
        "high": interval.high,
        "macro_f1": float(np.mean([metric(run, "macro_f1") for run in runs])),
    }


def mean_accuracy(runs: list[Run]) -> float:
    """Right answers by answers, in one division: a mean of means could round to another last digit elsewhere."""
    right = right_answers(runs)
    return int(right.sum()) / right.size


def shortened(overrides: list[str]) -> list[str]:
    """For reading, beside a model's name: without `model.` before its own options."""
    told = (override.lstrip("+~").removeprefix("model.") for override in overrides)
    return sorted(told, key=lambda override: override.startswith("adapter="))


def variants(runs: list[Run], dataset: str) -> list[Variant]:
    """The runs on a data set, grouped by everything but the seed.

    A run that failed before its data were read joins the only group with its configuration, if there is one;
    nothing is said of it where the same seed came further.
    """
    groups: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))  # by configuration, by content
    for run in runs:
        if run.record.dataset == dataset:
            identity = run.record.identity
            content = [split["sha256"] for split in run.record.splits.values()]
            asked = json.dumps([identity["model"], identity["dataset"], identity["recipe"]], sort_keys=True)
            groups[asked][" ".join(content)].append(run)
    for by_content in groups.values():
        if "" in by_content and len(by_content) == 2:
            unread = by_content.pop("")
            (read,) = by_content.values()
            seeds = {run.record.seed for run in read}
            read.extend(run for run in unread if run.record.seed not in seeds)
    return [Variant(group) for by_content in groups.values() for group in by_content.values()]


@lru_cache(maxsize=1)
def with_results(evidence: Evidence) -> list[Variant]:
    """The variants on the study's data set that have results, the most accurate first."""
    found = [variant for variant in variants(evidence.runs, study.DATASET) if variant.results]
    return sorted(found, key=lambda variant: (-variant.accuracy, variant.name))


def training_behind(record: RunRecord, evidence: Evidence) -> RunRecord | None:
    """The run that trained and kept the adapter which this one only reads, told by its name; None if there is none."""
    name = record.adapter and record.adapter["name"]
    return next((run.record for run in evidence.runs if run.folder.name == name), None)


def read_again(record: RunRecord, best: RunRecord, evidence: Evidence) -> bool:
    """Whether it is no rival of `best`: it only reads what another run trained, or trained what `best` only reads."""
    behind = training_behind(best, evidence)
    trained_it = behind is not None and {**behind.identity, "seed": None} == {**record.identity, "seed": None}
    return trained_it or training_behind(record, evidence) is not None


def repeats_study(variant: Variant, evidence: Evidence) -> bool:
    """Whether it stands for the study's own run: the contestant as shipped, under recipe=paper, on its data.

    On all rows, none set aside for validation: the study trained on all of them.
    """
    shipped = evidence.contestants.get(variant.first.model)
    ours = variant.first.config
    return (
        shipped is not None
        and not variant.first.limits
        and not variant.first.carved_rows
        and ours["recipe"] == shipped.config["recipe"]
        and ours["model"]["parameters"] == shipped.config["model"]["parameters"]
        and ours["dataset"]["sha256"] == shipped.config["dataset"]["sha256"]
    )


def command_of(variant: Variant) -> str:
    """The command line that makes the runs again; DIR is where a folder or file that was read lies: no record says."""
    first = variant.first
    options_given = given_options(first)
    seeds = ",".join(str(run.record.seed) for run in variant.runs)
    given = {override.partition("=")[0]: override for override in first.overrides}
    if "experiment" in given:  # what it sweeps is to be named, or all of it would run
        options = ("experiment", "dataset", "recipe", "dataset.train_rows")
        chosen = [given[option] for option in options if option in given and given[option] not in options_given]
    else:
        named = {"dataset": first.dataset, "recipe": first.recipe}
        chosen = [
            given.get(option, f"{option}={name}")
            for option, name in named.items()
            if option in given or f"{option}.name" not in given  # what was named otherwise is no choice of this name
        ]
    added = [given["--config-dir"]] if "--config-dir" in given else []
    sweep = ["-m"] if "," in seeds else []
    seed = [] if seeds == "0" and "experiment" not in given else [f"seed={seeds}"]
    words = [*added, *sweep, f"model={first.model}", *chosen, *options_given, *seed]
    told = (re.sub(r"(\.path|\.adapter|^--config-dir)=", r"\g<0>DIR/", word) for word in words)
    return " ".join(["python -m benchmark", *map(shlex.quote, told)])
