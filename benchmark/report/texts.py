"""The test texts of a local data folder, for a page that shows them. Records hold ids and hashes only."""

from dataclasses import replace
from pathlib import Path

import yaml

from benchmark.analysis.frame import Results
from benchmark.config import CONF_DIR
from benchmark.data.checks import content_sha256, one_label, to_examples
from benchmark.data.folder import read_folder
from benchmark.data.perturb import perturb_texts
from benchmark.data.row_choice import choose
from benchmark.data.transferred_texts import transfer_test_split
from benchmark.dataset_config import DatasetConfig, Files
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples
from benchmark.report.page_comparison import Texts
from benchmark.results.record import Status


def local_texts(results: Results, folder: Path) -> Texts:
    """The texts by test split and item, for every test split of the runs that the folder holds unchanged.

    Raises `BenchmarkError` if it holds none of them.
    """
    wanted = {
        run.record.data.splits["test"].sha256: run.record.config.dataset
        for run in results.by_name.values()
        if run.record.status is Status.completed and run.record.data is not None
    }
    texts: dict[str, dict[str, str]] = {}
    cause: BenchmarkError | None = None
    for sha256, config in wanted.items():
        for files in (_original_form((config.test or config).name), None):  # None: the usual form
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
            "Give --texts the folder from which the runs read their data, unchanged.",
        ) from cause
    return texts


def _read_test(config: DatasetConfig, folder: Path, files: Files | None) -> Examples:
    """The test split of a recorded configuration, read from this folder."""
    tested = config.test or config
    rows = read_folder(replace(tested, files=files), folder).rows["test"]
    test = to_examples("test", one_label(rows, tested.skip_multilabel), tested.labels)
    if config.test is not None:
        test, _ = transfer_test_split(test, config, tested)
    if config.test_rows is not None and config.test_rows < len(test):
        test = choose(test, config.test_rows, config.row_choice)
    return test if config.perturb is None else perturb_texts(test, config.perturb)[0]


def _original_form(name: str) -> Files | None:
    """How the original files of a shipped data set are written. Records do not say it."""
    path = CONF_DIR / "dataset" / f"{name}.yaml"
    form = yaml.safe_load(path.read_text(encoding="utf-8")).get("files") if path.is_file() else None
    return form and Files(**form)
