"""Build the report from the records: tables, figures, page and the README's section."""

import logging
import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Drawing

from benchmark.analysis import prices, study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import Results, read_results
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.report.figure import ALL, Figure, Picture
from benchmark.report.figures import FIGURES
from benchmark.report.html import page
from benchmark.report.page_comparison import Texts
from benchmark.report.results_page import WRITTEN, results_pages
from benchmark.report.style import save_png, save_svg, svg_with_text
from benchmark.report.summary import answer, facts, findings, messages
from benchmark.report.table import Table
from benchmark.report.tables import TABLE_NAMES, all_tables
from benchmark.report.tables.data_sets import DATA_SETS
from benchmark.report.wording import jinja_environment
from benchmark.results import error_costs, shared_times
from benchmark.results.store import RECORD, lock

log = logging.getLogger(__name__)

PAGE = "report.html"
BEGIN, END = "<!-- results: written by python -m benchmark.report -->", "<!-- end of results -->"
TABLE_SUFFIXES, FIGURE_SUFFIXES = (".csv", ".md", ".tex"), (".svg", ".png")
COMPARED = {".md", ".csv", ".tex", ".svg", ".html"}  # PNG bytes may differ with the compression library


class Report:
    """Everything the report shows, each part computed once."""

    def __init__(self, results: Results) -> None:
        self.analysis = AnalysedResults(results)

    @cached_property
    def tables(self) -> dict[Table, pd.DataFrame]:
        return all_tables(self.analysis)

    @cached_property
    def findings(self) -> list[str]:
        return findings(self.analysis, self.tables)

    @cached_property
    def drawings(self) -> list[tuple[Picture, Drawing]]:
        """The figures that have something to show, of every data set."""
        datasets = self.analysis.datasets or [study.DATASET]
        wanted = [
            (figure, name)
            for name in datasets
            for figure in FIGURES.values()
            if not figure.of_all and (name == study.DATASET or not figure.of_study)
        ]
        wanted += [(figure, ALL) for figure in FIGURES.values() if figure.of_all]
        return [drawn for figure, name in wanted if (drawn := self._drawn(figure, name))]

    def _drawn(self, figure: Figure, dataset: str) -> tuple[Picture, Drawing] | None:
        analysis = self.analysis if figure.of_all else self.analysis.for_dataset(dataset)
        if (drawing := figure.draw(analysis, dataset)) is None:
            return None
        narrow = figure.draw_narrow(analysis, dataset) if figure.draw_narrow else None
        svgs = svg_with_text(drawing), "" if narrow is None else svg_with_text(narrow)
        return Picture(figure, dataset, *svgs, str(drawing.get_label())), drawing

    def page(self, texts: Texts | None = None) -> str:
        """The HTML of the page; with `texts`, its comparisons show them."""
        first, *others = self.analysis.datasets or [study.DATASET]
        found = {first: self.findings} | {name: findings(self.analysis, self.tables, name) for name in others}
        pictures = [picture for picture, _ in self.drawings]
        return page(
            self.analysis,
            self.tables,
            pictures,
            answer(self.analysis, self.tables),
            found,
            messages(self.analysis, self.tables),
            texts,
        )

    def readme_section(self) -> str:
        """The section of results for the README, in Markdown."""
        tables = {table.name: (table, table.markdown(data)) for table, data in self.tables.items()}
        rows = self.tables.get(DATA_SETS)
        named = [] if rows is None else rows["dataset"].drop_duplicates().tolist()
        return (
            jinja_environment()
            .get_template("readme.md.jinja")
            .render(
                facts(self.analysis.for_dataset(study.DATASET), self.tables),
                findings=self.findings,
                tables=tables,
                others=[name for name in named if name != study.DATASET],
            )
        )

    def results_pages(self) -> dict[str, str]:
        """The documents docs/results.md and the pages that it links to, by their place in docs/."""
        return results_pages(self.analysis, self.tables, [picture for picture, _ in self.drawings])


def refresh(results_dir: Path) -> None:
    """Rebuild tables, figures and page, unless they are newer than all that they are made of.

    A damaged record or a full disk is logged, so that it does not hide how the run ended.
    """
    try:
        with lock(results_dir):
            if not _is_newer_than_inputs(results_dir / PAGE, results_dir):
                log.info("rebuilding the report in %s", results_dir)
                build(Report(read_results(results_dir)), results_dir)
    except (BenchmarkError, OSError) as error:
        log.error("the report was not refreshed: %s", error)


def build(report: Report, results_dir: Path) -> set[Path]:
    """Write tables (.md, .csv, .tex), figures (.svg, .png) and the page, each atomically, and return their paths."""
    written = set()
    for table, data in report.tables.items():
        for name, content in table.files(data).items():
            with replacing(results_dir / "tables" / name) as path:
                path.write_text(content, encoding="utf-8")
            written.add(results_dir / "tables" / name)
    for picture, drawing in report.drawings:
        for suffix, save in zip(FIGURE_SUFFIXES, (save_svg, save_png), strict=True):
            with replacing(results_dir / "figures" / f"{picture.name}{suffix}") as path:
                save(drawing, path)
            written.add(results_dir / "figures" / f"{picture.name}{suffix}")
    with replacing(results_dir / PAGE) as path:
        path.write_text(report.page(), encoding="utf-8")
    return {*written, results_dir / PAGE}


def remove_others(results_dir: Path, current: set[Path]) -> None:
    """Delete tables and figures that the records no longer give."""
    for path in _generated(results_dir):
        if path not in current:
            path.unlink()


def out_of_date(results_dir: Path, readme: Path | None) -> list[str]:
    """The files that a rebuild would change; with `readme`, that file and the pages of results beside it."""
    report = Report(read_results(results_dir))
    with tempfile.TemporaryDirectory() as scratch:
        build(report, Path(scratch))
        fresh = {path.relative_to(scratch): path for path in _generated(Path(scratch))}
        kept = {path.relative_to(results_dir): path for path in _generated(results_dir)}
        stale = [
            str(results_dir / name)
            for name in sorted(fresh.keys() | kept.keys())
            if name not in fresh
            or name not in kept
            or (name.suffix in COMPARED and fresh[name].read_bytes() != kept[name].read_bytes())
        ]
    if readme is not None:
        current = documents(report, readme)
        stale += [str(path) for path, content in current.items() if not _holds(path, content)]
        stale += [str(path) for path in _other_documents(readme, current)]
    return stale


def documents(report: Report, readme: Path) -> dict[Path, bytes]:
    """The content of the README with its section, and of the pages of results beside it if there is a docs folder."""
    content = {readme: with_section(readme, report.readme_section())}
    if (docs := readme.parent / "docs").is_dir():
        content |= {docs / name: text.encode() for name, text in report.results_pages().items()}
    return content


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def write_documents(report: Report, readme: Path) -> None:
    """Write the README's section and the pages of results, and delete pages that the records no longer give.

    Raises `BenchmarkError` before anything is written if a page has the place of a file that no report wrote.
    """
    current = documents(report, readme)
    for place in current:
        if place != readme and place.exists() and not _is_page_of_results(place):
            raise BenchmarkError(
                f"{place} exists and was not written by python -m benchmark.report.",
                "Rename it, or set --readme to a file in a folder without docs.",
            )
    for place, content in current.items():
        with replacing(place) as path:
            path.write_bytes(content)
    for place in _other_documents(readme, current):
        place.unlink()


def _other_documents(readme: Path, current: Iterable[Path]) -> list[Path]:
    """The pages of results that the records no longer give."""
    pages = {path for path in (readme.parent / "docs/results").glob("*.md") if _is_page_of_results(path)}
    return sorted(pages - {*current})


def _is_page_of_results(path: Path) -> bool:
    return path.is_file() and WRITTEN.encode() in path.read_bytes()


def with_section(readme: Path, text: str) -> bytes:
    """The README's content with `text` between its markers; raises `BenchmarkError` if the markers are missing."""
    try:
        content = readme.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"{readme} cannot be read ({error}).", "Run this in the project's folder, or set --readme."
        ) from error
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{readme} has no section between '{BEGIN}' and '{END}'.", "Add these two lines.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}".encode()


def _is_newer_than_inputs(page_file: Path, results_dir: Path) -> bool:
    """Whether the page, written last, is newer than all records, the folders that hold them, and the other inputs."""
    runs = results_dir / "runs"
    speed = results_dir / "speed"
    folders = [runs, *runs.glob("*"), *runs.glob("*/*"), speed, *speed.glob("*")]
    records = [path for path in runs.glob(f"*/*/*/{RECORD}") if not path.parent.name.startswith(".")]
    others = [results_dir / error_costs.FILE, results_dir / shared_times.FILE, prices.FILE, *speed.glob("*/*.json")]
    changed = max((path.stat().st_mtime_ns for path in [*folders, *records, *others] if path.exists()), default=0)
    return page_file.is_file() and page_file.stat().st_mtime_ns > changed


def _generated(results_dir: Path) -> Iterable[Path]:
    """The files in `results_dir` that are named like a report's file of any data set. Other files are the user's."""
    for folder, names, suffixes in (("tables", TABLE_NAMES, TABLE_SUFFIXES), ("figures", [*FIGURES], FIGURE_SUFFIXES)):
        for path in (results_dir / folder).glob("*.*"):
            named = any(path.stem == name or path.stem.startswith(f"{name}_") for name in names)
            if named and path.suffix in suffixes and path.is_file():
                yield path
    yield from results_dir.glob(PAGE)
