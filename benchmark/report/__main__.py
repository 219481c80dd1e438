"""`python -m benchmark.report [--check]`: build the report from the records, or check that it is up to date."""

import argparse
import sys
from pathlib import Path

from benchmark.analysis.frame import read_results
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.report.build import BEGIN, PAGE, Report, build, out_of_date, remove_others, write_documents
from benchmark.report.local_texts import local_texts
from benchmark.results.record import Status
from benchmark.results.store import check_predictions, lock
from benchmark.terminal import add_results_dir, exit_on_error, results_dir_of

WITH_TEXTS = Path("outputs/report_with_texts.html")  # git ignores the folder


def main() -> None:
    parser = _parser()
    arguments = parser.parse_intermixed_args()
    if arguments.output is not None and arguments.model_card is None and arguments.texts is None:
        parser.error("--output needs --model-card RUN or --texts DATA_DIR")
    results_dir = results_dir_of(arguments)
    readme: Path | None = arguments.readme or own_readme(results_dir)
    with exit_on_error():
        if arguments.model_card is None and not (results_dir / "runs").is_dir():
            raise BenchmarkError(
                f"{results_dir} holds no runs.", "Run python -m benchmark, or name another folder: results_dir=DIR."
            )
        if arguments.model_card is not None:
            write_model_card(results_dir, arguments.model_card, arguments.output)
        elif arguments.texts is not None:
            write_page_with_texts(results_dir, arguments.texts, arguments.output or WITH_TEXTS)
        elif arguments.export is not None:
            write_export(results_dir, *arguments.export)
        elif arguments.check:
            stale = out_of_date(results_dir, readme)
            sys.stdout.writelines(f"out of date: {name}\n" for name in stale)
            sys.exit(1 if stale else 0)
        else:
            write_report(results_dir, readme)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmark.report", description=__doc__)
    add_results_dir(parser)
    of_readme = "file with the generated section (default: README.md for results in a checkout, else none); with a "
    of_readme += "folder docs beside it, docs/results.md and docs/results/ are written too"
    parser.add_argument("--readme", type=Path, help=of_readme)
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="write nothing; exit with 1 if anything is out of date")
    task.add_argument("--model-card", metavar="RUN", help="write the model card of a run, named by folder or digest")
    of_texts = "write a page whose comparisons show the texts of this data folder"
    task.add_argument("--texts", type=Path, metavar="DATA_DIR", help=of_texts)
    of_export = "write every complete run as every-eval-ever or hub-eval-results to an empty folder"
    task.add_argument("--export", nargs=2, metavar=("FORMAT", "OUT_DIR"), help=of_export)
    of_output = f"file for the model card (default: the terminal) or --texts (default: {WITH_TEXTS})"
    parser.add_argument("--output", type=Path, help=of_output)
    return parser


def own_readme(results_dir: Path) -> Path | None:
    """The README with a section for the results shipped beside it; None in any other folder."""
    readme = Path("README.md")
    has_section = results_dir == Path("results") and readme.is_file() and BEGIN.encode() in readme.read_bytes()
    return readme if has_section else None


def write_report(results_dir: Path, readme: Path | None) -> None:
    with lock(results_dir):
        report = Report(read_results(results_dir))
        remove_others(results_dir, build(report, results_dir))
        if readme is not None:
            write_documents(report, readme)
    for copy in report.analysis.results.duplicate_runs:
        sys.stderr.write(f"left out, because another folder holds the same run: {results_dir / 'runs' / copy}\n")
    places = [str(results_dir / name) for name in (PAGE, "tables", "figures")] + ([str(readme)] if readme else [])
    sys.stdout.write(f"{len(report.analysis.results.runs_by_name)} runs -> {', '.join(places)}\n")


def write_page_with_texts(results_dir: Path, folder: Path, output: Path) -> None:
    if output.is_dir():
        output = output / WITH_TEXTS.name
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


def write_export(results_dir: Path, form: str, folder: str) -> None:
    from benchmark.report.exports import export  # nothing else needs the hub's client

    written = export(results_dir, form, Path(folder))
    sys.stdout.write(f"wrote {written} {'run' if written == 1 else 'runs'} to {folder}\n")


def write_model_card(results_dir: Path, wanted: str, output: Path | None) -> None:
    from benchmark.report.model_card import find_run, model_card  # nothing else needs the hub's client

    run = find_run(results_dir, wanted)
    if run.record.status is Status.completed:
        check_predictions(run)
    text = model_card(run)
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
