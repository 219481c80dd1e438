"""The report as one page that needs no other file: `results/report.html`.

Every value from a record is escaped, and the page's policy allows no script but its own.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import with_results
from benchmark.report import colours
from benchmark.report.figure import Picture
from benchmark.report.formats import duration, gigabytes
from benchmark.report.page_comparison import Texts, comparison_data
from benchmark.report.page_tables import ShownTable, shown_table
from benchmark.report.run_details import anchor, details
from benchmark.report.sections import OTHER_DATA_SETS, PAGES, TEMPLATES, Part, parts
from benchmark.report.table import Table
from benchmark.report.wording import in_words

MOST_FINDINGS = 5  # at the top of the page; the others are in docs/results.md
FEWEST_FILTERED = 8  # rows of a table with a filter
TABLE3_NAME = "table3_accuracy"
GROUP_WITH_RUNS = list(PAGES.values())[-1]  # the group of links that ends with the runs
REPEATS_TABLE3 = f"leaderboard_{study.DATASET}"  # so the page leaves it out
DrawnPicture = tuple[Picture, Markup, Markup]
"""A figure, its SVG, and the SVG for a narrow screen, which may be empty."""
Content = DrawnPicture | ShownTable


def page(
    analysis: AnalysedResults,
    tables: dict[Table, pd.DataFrame],
    pictures: Sequence[Picture],
    answer: Sequence[str],
    findings: Mapping[str, Sequence[str]],
    messages: Mapping[str, Sequence[str]] | None = None,
    texts: Texts | None = None,
) -> str:
    """The page's HTML, the same for the same records.

    `answer` are the paragraphs that open the page. `findings` are sentences about each data set, the one that stands
    first on the page first; its first sentence is left out, because the answer says the same. `messages` are sentences
    that open a section, by its name. All may contain Markdown's `code` and *emphasis*, as notes may. With `texts`, the
    comparison of two models shows the texts on which they differ.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    filters = (anchor, duration, gigabytes, in_words, inline_markdown, quote)
    environment.filters |= {function.__name__: function for function in filters}
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    general, of_datasets = parts(findings, tables, pictures)
    first = next(iter(findings))
    of_datasets = [part for part in of_datasets if part.dataset == first or part.dataset not in _transfers(analysis)]
    ordered = [*general, *of_datasets] if first == study.DATASET else [*of_datasets, *general]
    shown = [(part, content) for part in ordered if (content := _content(part, analysis))]
    lead = _leading_picture(shown)
    not_run = _not_run(analysis, tables)
    comparisons, blocks = comparison_data(analysis, texts or {}), details(analysis)
    return environment.get_template("report.html.jinja").render(
        answer=answer,
        lead=lead,
        findings=findings[first][1:][:MOST_FINDINGS],
        messages=messages or {},
        first_findings={name: sentences[0] for name, sentences in findings.items() if name != first},
        contents=_contents([part for part, _ in shown], study.DATASET in findings, bool(comparisons), bool(blocks)),
        parts=shown,
        with_study=study.DATASET in findings,
        datasets=[part.dataset for part in of_datasets],
        not_run=not_run,
        largest=with_results(analysis.for_dataset(study.DATASET).configurations)["parameters"].astype(float).max(),
        kinds=sorted(set(analysis.configurations["kind"]) | {"encoder", "decoder"}),
        fewest_filtered=FEWEST_FILTERED,
        comparisons=comparisons,
        details=blocks,
        total=len(analysis.results.runs),
        study=study.TITLE,
        colours=Markup(colours.stylesheet()),  # noqa: S704  # our own
        script=Markup(script),  # noqa: S704  # our own file
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _leading_picture(shown: Sequence[tuple[Part, list[Content]]]) -> DrawnPicture | None:
    """Take the picture at the beginning of the first section, if there is one, to stand beside the answer."""
    if not shown:
        return None
    _, content = shown[0]
    if isinstance(first := content[0], ShownTable):
        return None
    del content[0]
    return first


def _transfers(analysis: AnalysedResults) -> set[str]:
    """The names of the results on another data set than the model's own, which share one table."""
    records = [run.record for run in analysis.results.runs_by_name.values()]
    return {record.dataset for record in records if record.config.dataset.test is not None}


def _contents(shown: list[Part], with_study: bool, compare: bool, runs: bool) -> dict[str, list[tuple[str, str]]]:
    """The links to the sections, as pairs of target and text, by the title of their group."""
    links: dict[str, list[tuple[str, str]]] = {}
    for number, part in enumerate(shown):
        of_data_set = part.group == OTHER_DATA_SETS
        group = "Data sets" if of_data_set and not with_study else part.group
        links.setdefault(group, []).append((part.section.name, part.dataset if of_data_set else part.section.title))
        if number == 0 and compare:
            links[group].append(("compare", "Compare two models"))
    if runs:
        links.setdefault(GROUP_WITH_RUNS, []).append(("runs", "Runs"))
    return links


def inline_markdown(text: str) -> Markup:
    """The text as HTML: escaped, with `code` and *emphasis* of Markdown as elements, and nothing else of it."""
    escaped = re.sub(r"&amp;(#\d+|amp|lt|gt);", r"&\1;", str(escape(text)))  # Markdown that is escaped already
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return Markup(re.sub(r"\*([^*<>]+)\*", r"<em>\1</em>", marked))  # noqa: S704  # escaped above


def _content(part: Part, analysis: AnalysedResults) -> list[Content]:
    """The figures with their SVG, then the tables; the leaderboard of another data set follows its first figure."""
    leading = 0 if part.dataset == study.DATASET else 1
    drawn = [
        (picture, _inline_svg(picture, picture.svg), _inline_svg(picture, picture.narrow, "-narrow"))
        for picture in part.pictures
    ]
    shown = [
        shown_table(
            table,
            data[data["accuracy"].notna()] if table.name == TABLE3_NAME else data,
            analysis,
            drawn=number > 0 if leading else bool(drawn),
        )
        for number, (table, data) in enumerate(part.tables)
        if table.name != REPEATS_TABLE3
    ]
    return [*drawn[:leading], *shown[:leading], *drawn[leading:], *shown[leading:]]


def _not_run(analysis: AnalysedResults, tables: dict[Table, pd.DataFrame]) -> list[dict[Any, Any]]:
    """The rows of Table 3 without an accuracy, with the kind of model."""
    table3 = next((data for table, data in tables.items() if table.name == TABLE3_NAME), None)
    if table3 is None:
        return []
    missing = table3[table3["accuracy"].isna()]
    kinds = [analysis.results.catalogue[name].card.kind for name in missing["name"]]
    return missing.where(missing.notna(), None).assign(kind=kinds).to_dict("records")


def _inline_svg(picture: Picture, document: str, ending: str = "") -> Markup:
    """An SVG document as a part of the page: ids of its own, the page's colours, and labelled by its caption."""
    if not document:
        return Markup()
    name = f"{picture.name}{ending}"
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    document = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\N{REPLACEMENT CHARACTER}", document)  # invalid in XML
    root = ElementTree.fromstring(document)  # noqa: S314  # drawn by this package
    for element in root.iter():
        for attribute, value in element.attrib.items():
            reference = "^#" if attribute.endswith("href") else r"(?<=url\()#"
            renamed = f"{name}-{value}" if attribute == "id" else re.sub(reference, f"#{name}-", value)
            element.set(attribute, colours.with_properties(renamed) if attribute == "style" else renamed)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{picture.name}-alternative"}
    for metadata in root.findall("{http://www.w3.org/2000/svg}metadata"):
        root.remove(metadata)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so escaped
