"""`python -m benchmark.doctor model=llama3_lora`: everything that would stop a run here, at once, with remedies."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement

from benchmark.config import RunConfig, build_classifier
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import Finding, FitContext
from benchmark.run.compose import add_config_dir, composed, each_model, with_config_dir
from benchmark.run.runner import PLACES, unwritable
from benchmark.run.sweep import quiet_libraries
from benchmark.terminal import plain_endings

DISTRIBUTION = "emotion-benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.doctor", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="as for a run: model=llama3_lora recipe=tuned dataset.path=DIR")
    add_config_dir(parser)
    arguments = parser.parse_args()
    quiet_libraries()
    with plain_endings():
        overrides = with_config_dir(arguments.overrides, arguments.config_dir)
        stops = sum(show(composed(asked)) for asked in each_model(overrides))
    sys.exit(1 if stops else 0)


def show(config: RunConfig) -> int:
    """Print what is found of one run; how much of it would stop the run."""
    findings = list(examine(config))
    sys.stdout.write(f"{config.model.title} on {config.dataset.name}, recipe {config.recipe.name}\n")
    for finding in findings:
        mark = "ok  " if finding.remedy is None else "STOP"
        sys.stdout.write(f"  {mark}  {finding.what:<9} {finding.found}\n")
        if finding.remedy is not None:
            sys.stdout.write(f"        {'':<9} -> {finding.remedy}\n")
    stops = sum(finding.remedy is not None for finding in findings)
    sys.stdout.write("nothing would stop this run\n" if not stops else f"{stops} would stop this run\n")
    return stops


def examine(config: RunConfig) -> Iterator[Finding]:
    """Versions, data, places to write, and what the contestant itself needs."""
    yield from _versions()
    classifier = build_classifier(config.model)
    texts: Sequence[str] = ()
    try:
        splits = load(config.dataset)
        texts = splits.train.texts
        rows = ", ".join(f"{split.rows} {name}" for name, split in splits.report.splits.items())
        yield Finding("data", f"{rows} rows, {splits.report.route}")
    except BenchmarkError as error:
        yield Finding.stopping("data", str(error))
    stopping = [Finding("folders", found, "name one that can") for found in unwritable(config)]
    yield from stopping or [Finding("folders", f"{', '.join(PLACES)} can be written")]
    context = FitContext(
        tuple(config.dataset.labels), config.recipe, config.seed, Path(config.checkpoints_dir), tuple(config.report_to)
    )
    yield from classifier.examine(texts, context)


def _versions() -> Iterator[Finding]:
    """Of the packages this one requires, those in the wrong version, or all in one line."""
    wrong = []
    try:
        all_required = [Requirement(line) for line in distribution(DISTRIBUTION).requires or []]
    except PackageNotFoundError:
        yield Finding("versions", f"{DISTRIBUTION} is not installed", "pip install --editable . in its folder")
        return
    required = [one for one in all_required if one.marker is None or one.marker.evaluate({"extra": ""})]
    for requirement in required:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} (needs {requirement.specifier})")
    if wrong:
        yield Finding("versions", ", ".join(wrong), "pip install --constraint constraints.txt --editable .")
    else:
        yield Finding("versions", f"{len(required)} packages as required")
