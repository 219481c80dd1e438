"""`python -m benchmark.report --export FORMAT DIR`: every complete run in an external format, without texts."""

from collections.abc import Callable
from pathlib import Path

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from benchmark.analysis.frame import read_results
from benchmark.analysis.metrics import accuracy
from benchmark.analysis.run_scores import is_hub_dataset
from benchmark.errors import BenchmarkError
from benchmark.files import holds_nothing
from benchmark.report import every_eval_ever
from benchmark.report.every_eval_ever import Evaluation
from benchmark.results.record import Status
from benchmark.results.store import check_predictions


def export(results_dir: Path, form: str, folder: Path) -> int:
    """Write every run that has an accuracy on a whole test split to an empty folder; return the number of runs."""
    if form not in FORMS:
        raise BenchmarkError(f"There is no export named {form!r}.", f"Give one of {', '.join(FORMS)}.")
    if not holds_nothing(folder):
        raise BenchmarkError(f"{folder} is not an empty folder.", "Name a new folder, or delete this one.")
    written = 0
    for evaluation in _evaluations(results_dir):
        files = FORMS[form](evaluation)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        written += bool(files)
    if not written:
        where = " of a data set on the hub" if form == "hub-eval-results" else ""
        raise BenchmarkError(f"{results_dir} has no run for {form}.", f"Complete a run on a whole test split{where}.")
    return written


def _evaluations(results_dir: Path) -> list[Evaluation]:
    """The runs with an accuracy on a whole test split, unchanged, each once, after a check of their predictions."""
    results = read_results(results_dir)
    evaluations = []
    for name, dataset, short_name in results.runs[["run", "dataset", "short_name"]].itertuples(index=False):
        run = results.runs_by_name[name]
        whole = run.record.config.dataset.test_rows is None and run.record.config.dataset.perturb is None
        if run.record.status is Status.completed and run.record.scorable and whole:
            check_predictions(run)
            evaluations.append(Evaluation(run, dataset, short_name))
    return evaluations


def _hub_eval_results(evaluation: Evaluation) -> dict[str, bytes]:
    """The file `.eval_results/DATASET.yaml` for the repository of the run's model; no file for data of another source.

    https://huggingface.co/docs/hub/eval-results
    """
    record, run = evaluation.record, evaluation.run
    hub = record.config.dataset.hub
    if hub is None or not is_hub_dataset(record):
        return {}
    left_out = ", without rows of several labels" if record.config.dataset.skip_multilabel else ""
    entry = EvalResultEntry(
        dataset_id=hub.id,
        task_id=hub.configuration or "default",
        value=accuracy(run.gold, run.predictions.predicted),
        dataset_revision=hub.revision,
        date=record.finished,
        notes=f"accuracy on {len(run.gold)} texts of the split {hub.split_of('test')}{left_out}: "
        f"{evaluation.name}, seed {record.seed}",
    )
    content = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=120)
    return {f"{run.name}/.eval_results/{evaluation.dataset}.yaml": content.encode()}


FORMS: dict[str, Callable[[Evaluation], dict[str, bytes]]] = {
    "every-eval-ever": every_eval_ever.documents,
    "hub-eval-results": _hub_eval_results,
}
"""The content of a run's files by path, for each format."""
