"""The test texts of a local data folder, for a page that shows them. Records hold ids and hashes only."""

from pathlib import Path

from benchmark.analysis.frame import Results
from benchmark.data.checks import content_sha256, to_examples
from benchmark.data.folder import read_folder
from benchmark.data.row_choice import choose
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
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
    found: dict[str, dict[str, str]] = {}
    cause: BenchmarkError | None = None
    for sha256, config in wanted.items():
        try:
            texts = _read(config, folder, sha256)
        except BenchmarkError as error:  # for example, the labels of another data set
            cause = error
        else:
            found |= {sha256: texts} if texts else {}
    if not found:
        raise BenchmarkError(
            f"{folder} does not hold the test texts of any completed run" + (f": {cause.problem}" if cause else "."),
            "Give --texts the folder from which the runs read their data, unchanged.",
        ) from cause
    return found


def _read(config: DatasetConfig, folder: Path, sha256: str) -> dict[str, str]:
    """The texts by id; empty if the content is another."""
    examples = to_examples("test", read_folder(config, folder).rows["test"], config.labels)
    rows = len(examples) if config.test_rows is None else config.test_rows
    kept = choose(examples, rows, config.row_choice)
    return dict(zip(kept.ids, kept.texts, strict=True)) if content_sha256(kept, config.labels) == sha256 else {}
