"""The test texts of a local data folder, for a page that shows them. Records hold ids and hashes only."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmark.analysis.frame import Results
from benchmark.config import CONF_DIR
from benchmark.data.checks import content_sha256
from benchmark.data.examples import to_examples, unwrap_single_labels
from benchmark.data.folder import read_folder
from benchmark.data.perturb import perturb_texts
from benchmark.data.row_choice import choose
from benchmark.data.transferred_texts import transfer_test_split
from benchmark.dataset_config import DatasetConfig, Files
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples
from benchmark.report.page_comparison import Texts
from benchmark.results.record import RunRecord, Status


def local_texts(results: Results, folder: Path) -> Texts:
    """The texts by test split and item, for every test split of the runs that the folder holds unchanged.

    Raises `BenchmarkError` if it holds none of them.
    """
    wanted: dict[str, tuple[DatasetConfig, list[Files | None]]] = {}
    for run in results.runs_by_name.values():
        if run.record.status is Status.completed and run.record.data is not None:
            sha256 = run.record.data.splits["test"].sha256
            _, forms = wanted.setdefault(sha256, (run.record.config.dataset, [None]))  # None: the usual form
            if (form := _form(run.record)) not in forms:
                forms.insert(0, form)
    texts: dict[str, dict[str, str]] = {}
    cause: BenchmarkError | None = None
    for sha256, (config, forms) in wanted.items():
        for files in forms:
            try:
                test = _read_test(config, folder, files)
            except BenchmarkError as error:  # for example, the labels of another data set
                cause = error
                continue
            if content_sha256(test, config.labels) == sha256:
                texts[sha256] = dict(zip(test.ids, test.texts, strict=True))
                break
    if not texts:
        raise BenchmarkError(
            f"{folder} does not hold the test texts of any completed run" + (f": {cause.problem}" if cause else "."),
            "Give --texts the folder from which the runs read their data, unchanged. If a YAML file of your own has "
            "the option files, write the texts as .csv files with the columns text and label first.",
        ) from cause
    return texts


def _read_test(config: DatasetConfig, folder: Path, files: Files | None) -> Examples:
    """The test split of a recorded configuration, read from this folder."""
    tested = config.test or config
    rows = read_folder(replace(tested, files=files), folder).rows["test"]
    test = to_examples("test", unwrap_single_labels(rows, tested.skip_multilabel), tested.labels)
    if config.test is not None:
        test, _ = transfer_test_split(test, config, tested)
    if config.test_rows is not None:
        test = choose(test, config.test_rows, config.row_choice)
    return test if config.perturb is None else perturb_texts(test, config.perturb)[0]


def _form(record: RunRecord) -> Files | None:
    """The form of the files of the test texts, from the shipped data set of this name and the options of the run.

    The configuration in a record does not have it.
    """
    dataset = record.config.dataset
    path = CONF_DIR / "dataset" / f"{(dataset.test or dataset).name}.yaml"
    shipped = yaml.safe_load(path.read_text(encoding="utf-8")).get("files") if path.is_file() else None
    form = (shipped or {}) | _options(record.overrides, "dataset.test.files" if dataset.test else "dataset.files")
    return Files(**form) if form else None


def _options(overrides: Iterable[str], group: str) -> dict[str, Any]:
    """The values of a group of options on the command line, `GROUP={NAME: VALUE}` or `GROUP.NAME=VALUE`."""
    options: dict[str, Any] = {}
    for override in overrides:
        option, _, value = override.lstrip("+").partition("=")
        if option == group:
            options |= _value(value) or {}
        elif option.startswith(f"{group}."):
            options[option.removeprefix(f"{group}.")] = _value(value)
    return options


def _value(text: str) -> Any:
    """The value of an override as Hydra reads it: OmegaConf has the same grammar."""
    values = OmegaConf.create({"text": text, "value": "${oc.decode:${text}}" if text else ""})
    try:
        return cast("dict[str, Any]", OmegaConf.to_container(values, resolve=True))["value"]
    except OmegaConfBaseException:  # an interpolation, or a function of Hydra
        return text
