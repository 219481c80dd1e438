"""The results of runs with what several tables and figures need of them, each computed once."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.ablations import without_ablations
from benchmark.analysis.comparisons import by_test_texts, comparisons
from benchmark.analysis.configurations import configurations
from benchmark.analysis.frame import Results
from benchmark.analysis.names import short_title


@dataclass(frozen=True, eq=False)
class AnalysedResults:
    """The results with everything that several tables need, computed once."""

    results: Results

    @cached_property
    def datasets(self) -> list[str]:
        """The keys of all data sets: the study's first, then by falling number of configurations.

        Changed test texts are no data set of their own.
        """
        runs, runs_by_name = self.results.runs, self.results.runs_by_name
        changed = [run for run in runs["run"] if runs_by_name[run].record.config.dataset.perturb is not None]
        configurations = runs[~runs["run"].isin(changed)].groupby("dataset")["configuration"].nunique()
        return sorted(configurations.index, key=lambda key: (key != study.DATASET, -configurations[key], key))

    def for_dataset(self, dataset: str) -> "AnalysedResults":
        """The analysis with `results.runs` restricted to one data set; the other fields of `results` are unchanged."""
        if set(self.results.runs["dataset"]) == {dataset}:
            return self
        if dataset not in self._parts:
            runs = self.results.runs
            self._parts[dataset] = AnalysedResults(replace(self.results, runs=runs[runs["dataset"] == dataset]))
        return self._parts[dataset]

    @cached_property
    def _parts(self) -> dict[str, "AnalysedResults"]:
        return {}

    @cached_property
    def models(self) -> list[str]:
        """The short titles of the models with results on any data set, by falling number of data sets.

        Models that learn nothing are left out. The order is the same for each part that `for_dataset` returns.
        """
        datasets: dict[str, set[str]] = {}
        for run in self.results.runs_by_name.values():
            record = run.record
            if record.is_result and (record.card is None or record.card.learns):
                datasets.setdefault(short_title(record.title), set()).add(record.config.dataset.name)
        return sorted(datasets, key=lambda title: (-len(datasets[title]), title))

    @cached_property
    def configurations(self) -> pd.DataFrame:
        return configurations(self.results)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        return comparisons(self.results, self.configurations)

    @cached_property
    def without_ablations(self) -> pd.DataFrame:
        """The configurations without training options that were only tried."""
        return without_ablations(self.results, self.configurations)

    @cached_property
    def comparable(self) -> pd.DataFrame:
        """The configurations with results on one set of test texts, the most accurate first, without ablations.

        If there are several sets of test texts, the one that most configurations predicted.
        """
        groups = by_test_texts(self.without_ablations)
        return (groups[0] if groups else self.configurations.head(0)).reset_index(drop=True)

    @cached_property
    def short_names(self) -> dict[str, str]:
        """The short name of each configuration, by id."""
        return dict(zip(self.configurations["configuration"], self.configurations["short_name"], strict=True))
