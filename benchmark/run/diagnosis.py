"""What would stop a run on this machine, each with its fix."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmark.config import FOLDERS, RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.model_by_place import is_read_later
from benchmark.configuration.revisions import pin, pin_dataset
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import CheckResult, Examples, FitContext, PrecomputedClassifier
from benchmark.results.environment import installed_version
from benchmark.run.context import fit_context
from benchmark.run.folders import folder_errors

DISTRIBUTION = "emotion-benchmark"


def examine(config: RunConfig) -> Iterator[CheckResult]:
    """Package versions, data, folders, and what the model itself needs."""
    yield _versions()
    with suppress(BenchmarkError):  # which reading the data reports below
        config = replace(config, dataset=pin_dataset(config.dataset))
        try:
            config = pin(config)
        except BenchmarkError as error:
            yield CheckResult.from_error("model" if is_read_later(config.model.parameters) else "revision", error)
    classifier = build_classifier(config.model)
    texts: Sequence[str] = ()
    test: Examples | None = None
    try:
        splits = load(config.dataset)
        texts, test = splits.train.texts, splits.test
        rows = ", ".join(f"{split.rows} {name}" for name, split in splits.report.splits.items())
        notes = f". {' '.join(splits.report.notes)}" if splits.report.notes else ""
        yield CheckResult("data", f"{rows} rows, {splits.report.route}{notes}")
    except BenchmarkError as error:
        yield CheckResult.from_error("data", error)
    problems = [CheckResult.from_error("folders", error) for error in folder_errors(config)]
    yield from problems or [CheckResult("folders", f"{', '.join(FOLDERS)} can be written")]
    context = replace(fit_context(config.spec, Path(config.checkpoints_dir)), report_to=tuple(config.report_to))
    if is_read_later(config.model.parameters):  # nothing more is known about it
        return
    results = classifier.examine(texts, context)
    yield from results
    if isinstance(classifier, PrecomputedClassifier) and test is not None and not any(result.fix for result in results):
        yield _match_rows(classifier, test, context)


def _match_rows(classifier: PrecomputedClassifier, test: Examples, context: FitContext) -> CheckResult:
    """Whether predictions that were made elsewhere belong to the test rows."""
    try:
        classifier.fit(test, test, context)  # reads the predictions; nothing is trained
        matched = classifier.match(test, context)
        classifier.predict(test.texts)
    except BenchmarkError as error:
        return CheckResult.from_error("rows", error)
    return CheckResult("rows", f"matched by {', '.join(f'{name}: {rows:,}' for name, rows in matched.items())}")


def _versions() -> CheckResult:
    """Whether the packages that this one requires are installed in the right versions."""
    try:
        requirements = [Requirement(line) for line in distribution(DISTRIBUTION).requires or []]
    except PackageNotFoundError:
        return CheckResult(
            "versions", f"{DISTRIBUTION} is not installed.", "Run `pip install --editable .` in its folder."
        )
    needed = [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    wrong = []
    for requirement in needed:
        installed = installed_version(requirement.name)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed or 'missing'} (needs {requirement.specifier})")
    if wrong:
        return CheckResult(
            "versions", f"{', '.join(wrong)}.", "Run `pip install --constraint constraints.txt --editable .`."
        )
    return CheckResult("versions", f"{len(needed)} packages as required")
