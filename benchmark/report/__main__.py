"""`python -m benchmark.report [--check]`: build the report from the records, or check that it is up to date."""

import argparse
import sys
from pathlib import Path

from benchmark.analysis.frame import read_results
from benchmark.errors import BenchmarkError
from benchmark.report.build import PAGE, Report, build, out_of_date, remove_others, write_documents
from benchmark.report.texts import local_texts
from benchmark.results.store import locked, replacing
from benchmark.terminal import plain_endings

WITH_TEXTS = Path("outputs/report_with_texts.html")  # git ignores the folder


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.report", description=__doc__)
    parser.add_argument(
        "--results-dir", type=Path, default=Path("results"), help="folder with the runs (default: results)"
    )
    parser.add_argument(
        "--readme",
        type=Path,
        help="file with the generated section (default: README.md for results, none for another folder)",
    )
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="write nothing; exit with 1 if anything is out of date")
    task.add_argument("--model-card", metavar="RUN", help="write the model card of a run, named by folder or digest")
    task.add_argument(
        "--texts", type=Path, metavar="DIR", help="write a page whose comparisons show the texts of this data folder"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help=f"file for the model card (default: the terminal) or --texts (default: {WITH_TEXTS})",
    )
    arguments = parser.parse_args()
    if arguments.output is not None and arguments.model_card is None and arguments.texts is None:
        parser.error("--output needs --model-card RUN or --texts DIR")
    results_dir: Path = arguments.results_dir
    readme: Path | None = arguments.readme or (Path("README.md") if results_dir == Path("results") else None)
    with plain_endings():
        if not (results_dir / "runs").is_dir():
            raise BenchmarkError(f"{results_dir} holds no runs.", "Run python -m benchmark, or set --results-dir.")
        if arguments.model_card is not None:
            write_model_card(results_dir, arguments.model_card, arguments.output)
        elif arguments.texts is not None:
            write_page_with_texts(results_dir, arguments.texts, arguments.output or WITH_TEXTS)
        elif arguments.check:
            stale = out_of_date(results_dir, readme)
            sys.stdout.writelines(f"out of date: {name}\n" for name in stale)
            sys.exit(1 if stale else 0)
        else:
            write_report(results_dir, readme)


def write_report(results_dir: Path, readme: Path | None) -> None:
    with locked(results_dir):
        report = Report(read_results(results_dir))
        remove_others(results_dir, build(report, results_dir))
        if readme is not None:
            write_documents(report, readme)
    for copy in report.analysis.results.copies:
        sys.stderr.write(f"left out, because another folder holds the same run: {results_dir / 'runs' / copy}\n")
    places = [str(results_dir / name) for name in ("tables", "figures", PAGE)] + ([str(readme)] if readme else [])
    sys.stdout.write(f"{len(report.analysis.results.by_name)} runs -> {', '.join(places)}\n")


def write_page_with_texts(results_dir: Path, folder: Path, output: Path) -> None:
    if output.resolve().is_relative_to(results_dir.resolve()):
        raise BenchmarkError(
            f"{output} is inside {results_dir}, whose files must not contain texts of the data set.",
            f"Set --output to a file in another folder, such as {WITH_TEXTS}.",
        )
    report = Report(read_results(results_dir))
    html = report.page(local_texts(report.analysis.results, folder))
    with replacing(output) as path:
        path.write_text(html, encoding="utf-8")
    sys.stdout.write(f"wrote {output}\n")


def write_model_card(results_dir: Path, wanted: str, output: Path | None) -> None:
    from benchmark.report.model_card import find, model_card  # nothing else needs the hub's client

    text = model_card(find(results_dir, wanted))
    if output is None:
        sys.stdout.write(text)
        return
    if output.is_dir():
        output = output / "README.md"
    if output.exists() and not output.read_bytes().startswith(b"---"):
        raise BenchmarkError(
            f"{output} exists and is not a model card.", "Name another file, for example in the model's own folder."
        )
    with replacing(output) as path:
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {output}\n")


if __name__ == "__main__":
    main()
