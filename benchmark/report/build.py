"""`python -m benchmark.report [--check]`: tables, figures, the page and the README's section, from records alone."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence, read_evidence
from benchmark.analysis.variants import with_results
from benchmark.errors import BenchmarkError
from benchmark.report.figures import FIGURES, save_png, save_svg, svg_with_text
from benchmark.report.findings import findings, more
from benchmark.report.footnotes import FOOTNOTES
from benchmark.report.html import page
from benchmark.report.table_files import all_tables, table_files
from benchmark.report.tables import TABLES
from benchmark.report.wording import markdown
from benchmark.results.store import locked, replacing
from benchmark.terminal import plain_endings

log = logging.getLogger(__name__)

PAGE = "report.html"
BEGIN, END = "<!-- results: written by python -m benchmark.report -->", "<!-- end of results -->"
COMPARED = {".md", ".csv", ".tex", ".svg", ".html"}  # PNG bytes may differ with the compression library


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.report", description=__doc__)
    parser.add_argument(
        "--results-dir", type=Path, default=Path("results"), help="where the runs are (default: results)"
    )
    parser.add_argument(
        "--readme",
        type=Path,
        help="file with the marked section (default: README.md for results, none for another folder)",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything is out of date")
    parser.add_argument("--model-card", metavar="RUN", help="write the model card of a run, by folder or digest")
    parser.add_argument("--output", type=Path, help="file for the model card (default: the terminal)")
    arguments = parser.parse_args()
    if arguments.output is not None and arguments.model_card is None:
        parser.error("--output is for --model-card RUN")
    readme = arguments.readme or (Path("README.md") if arguments.results_dir == Path("results") else None)
    with plain_endings():
        if not (arguments.results_dir / "runs").is_dir():
            raise BenchmarkError(
                f"{arguments.results_dir} holds no runs; run python -m benchmark, or name --results-dir."
            )
        if arguments.model_card is not None:
            write_model_card(arguments.results_dir, arguments.model_card, arguments.output)
            return
        if arguments.check:
            stale = out_of_date(arguments.results_dir, readme)
            sys.stdout.writelines(f"out of date: {name}\n" for name in stale)
            sys.exit(1 if stale else 0)
        with locked(arguments.results_dir):
            evidence = read_evidence(arguments.results_dir)
            remove_unfounded(arguments.results_dir, build(evidence, arguments.results_dir))
            if readme is not None:
                write_section(readme, section(evidence))
    places = [
        *(f"{arguments.results_dir}/{name}" for name in ("tables", "figures", PAGE)),
        *([readme] if readme else []),
    ]
    sys.stdout.write(f"{len(evidence.runs)} runs -> {', '.join(map(str, places))}\n")


def write_model_card(results_dir: Path, wanted: str, output: Path | None) -> None:
    from benchmark.report.model_card import find, model_card  # the hub's client is needed for nothing else here

    text = model_card(find(results_dir, wanted))
    if output is None:
        sys.stdout.write(text)
        return
    if output.is_dir():
        output = output / "README.md"
    if output.exists() and not output.read_bytes().startswith(b"---"):
        raise BenchmarkError(f"{output} is there and no model card; name another file, in the model's own folder.")
    with replacing(output) as path:
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {output}\n")


def refresh(results_dir: str) -> None:
    """Rebuild tables, figures and page after a run, unless it and all others were there the last time.

    A broken record or full disk must not hide the run's own end.
    """
    folder = Path(results_dir)
    try:
        with locked(folder):
            if not _newer_than_every_run(folder / PAGE, folder / "runs"):
                build(read_evidence(folder), folder)
    except (BenchmarkError, OSError) as error:
        log.error("tables not refreshed: %s", error)


def _newer_than_every_run(page: Path, runs: Path) -> bool:
    """Of the page, which a rebuild writes last; a run comes and goes by a rename within its model's folders."""
    folders = [runs, *runs.glob("*"), *runs.glob("*/*")]
    records = [path for path in runs.glob("*/*/*/record.json") if not path.parent.name.startswith(".")]
    changed = max((path.stat().st_mtime_ns for path in [*folders, *records] if path.exists()), default=0)
    return page.is_file() and page.stat().st_mtime_ns > changed


def build(evidence: Evidence, results_dir: Path) -> set[Path]:
    """Write tables (.md, .csv, .tex), figures (.svg, .png) and the page, each replaced atomically; their paths."""
    tables = all_tables(evidence)
    written = set()
    for name, content in table_files(tables).items():
        with replacing(results_dir / "tables" / name) as path:
            path.write_text(content, encoding="utf-8")
        written.add(results_dir / "tables" / name)
    drawn = {}
    for name, draw in FIGURES.items():
        if (figure := draw(evidence)) is not None:
            written |= {results_dir / "figures" / f"{name}{suffix}" for suffix in (".svg", ".png")}
            with replacing(results_dir / "figures" / f"{name}.svg") as path:
                save_svg(figure, path)
            drawn[name] = svg_with_text(figure)
            with replacing(results_dir / "figures" / f"{name}.png") as path:
                save_png(figure, path)
    with replacing(results_dir / PAGE) as path:
        path.write_text(page(evidence, tables, drawn), encoding="utf-8")
    return {*written, results_dir / PAGE}


def remove_unfounded(results_dir: Path, founded: set[Path]) -> None:
    """Delete tables and figures that no record supports any more."""
    for path in _generated(results_dir):
        if path not in founded:
            path.unlink()


def out_of_date(results_dir: Path, readme: Path | None) -> list[str]:
    """What a rebuild would change, by name."""
    evidence = read_evidence(results_dir)
    with tempfile.TemporaryDirectory() as scratch:
        build(evidence, Path(scratch))
        fresh = {path.relative_to(scratch): path for path in _generated(Path(scratch))}
        kept = {path.relative_to(results_dir): path for path in _generated(results_dir)}
        stale = [
            str(results_dir / name)
            for name in sorted(fresh.keys() | kept.keys())
            if name not in fresh
            or name not in kept
            or (name.suffix in COMPARED and fresh[name].read_bytes() != kept[name].read_bytes())
        ]
    if readme is not None and _with_section(readme, section(evidence)) != readme.read_bytes():
        stale.append(str(readme))
    return stale


def section(evidence: Evidence) -> str:
    """The README's results: what was found, Table 3, the other two folded away, and the speed."""
    parts = ["## What was found", "\n".join(f"- {sentence}" for sentence in findings(evidence))]
    parts += ["## Accuracy on the emotion test split (Table 3)", markdown(TABLES["table3_accuracy"](evidence))]
    parts += [NOTES, more()]
    if with_results(evidence):
        parts.append("![Accuracy with 95% intervals](results/figures/accuracy.svg)")
    for heading, name in (("Model details (Table 1)", "table1_models"), ("Settings (Table 2)", "table2_settings")):
        table = markdown(TABLES[name](evidence))
        parts.append(f"<details><summary>{heading}</summary>\n\n{table}\n\n{FOOTNOTES.get(name, '')}\n</details>")
    if evidence.speeds:
        parts += ["## Speed", markdown(TABLES["speed"](evidence)), FOOTNOTES["speed"]]
    return "\n\n".join(parts)


NOTES = (
    f"*Study* is what {study.TITLE} printed; every other figure was measured by this suite and is recomputed "
    "from the stored predictions. The interval is Wilson's for one seed, a bootstrap over seeds and test rows for "
    "more. *Training* is the median over the seeds of one machine, the first named, without loading and validation."
)


def write_section(readme: Path, text: str) -> None:
    with replacing(readme) as path:
        path.write_bytes(_with_section(readme, text))


def _with_section(readme: Path, text: str) -> bytes:
    """The README with `text` between its markers and all else as it was; raises `BenchmarkError` without them."""
    try:
        content = readme.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{readme} cannot be read; run this in the project's folder, or name --readme.") from error
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{readme} has no section between '{BEGIN}' and '{END}'; put those two lines in.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}".encode()


def _generated(results_dir: Path) -> Iterable[Path]:
    for folder in ("tables", "figures"):
        yield from (path for path in (results_dir / folder).glob("*.*") if not path.name.startswith("."))
    yield from results_dir.glob(PAGE)
