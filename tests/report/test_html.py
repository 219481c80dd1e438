"""The page as text: the source of each cell, the links, the blocks of runs, and that a record cannot become markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from factories import (
    FIT,
    GOLD,
    RANDOM_FIT,
    TRAIN_COUNTS,
    a_record,
    a_record_on_rows,
    publish,
)

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results
from benchmark.config import digest_of
from benchmark.interface import NO_LABEL, CurvePoint
from benchmark.report import page_tables, run_details
from benchmark.report.build import Report
from benchmark.report.figure import Picture
from benchmark.report.figures import FIGURES
from benchmark.report.html import page
from benchmark.report.run_details import Details, details
from benchmark.report.sections import SECTIONS
from benchmark.report.style import svg_with_text
from benchmark.report.tables import ALWAYS_SHOWN, TABLES, all_tables
from benchmark.results.environment import Environment, Git
from benchmark.results.record import Failure, RunRecord, Status

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
HOSTILE = "<script>alert(1)</script> & \"quoted\" --> <!-- <b onclick='x'>"
MINILM = "MiniLM-L6"


class Elements(HTMLParser):
    """Every element of a page, in order, with its attributes, and all texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def rendered(
    results_dir: Path,
    *figures: str,
    findings: tuple[str, ...] = ("A finding.",),
    answer: tuple[str, ...] = ("An answer.",),
    messages: dict[str, list[str]] | None = None,
) -> str:
    analysis = AnalysedResults(read_results(results_dir))
    by_dataset = dict.fromkeys(analysis.datasets or [study.DATASET], findings)
    drawn = [
        Picture(FIGURES[name], dataset, svg_with_text(figure))
        for dataset in by_dataset
        for name in figures
        if dataset == study.DATASET or not FIGURES[name].of_study
        if (figure := FIGURES[name].draw(analysis.for_dataset(dataset), dataset)) is not None
    ]
    return page(analysis, all_tables(analysis), drawn, answer, by_dataset, messages)


def blocks(results_dir: Path) -> list[Details]:
    return details(AnalysedResults(read_results(results_dir)))


def table(html: str, name: str) -> str:
    return html.partition(f'id="{name}">')[2].partition("</table>")[0]


def cells(html: str, name: str, row: str) -> list[tuple[str | None, str]]:
    """Source and text of each cell of the table's row that starts with this text."""
    (found,) = [
        part for part in table(html, name).split("<tr") if re.search(f'<th scope="row">{re.escape(row)} ?<', part)
    ]
    return [
        (source, re.sub("<[^>]*>", "", content).strip())
        for source, content in re.findall(r'<td data-source="(\w+)"[^>]*>(.*?)</td>', found, re.DOTALL)
    ]


def titled(record: RunRecord, title: str) -> RunRecord:
    config = record.config
    return replace(record, config=replace(config, model=replace(config.model, title=title)))


def test_without_runs_the_page_has_the_studys_tables(tmp_path: Path) -> None:
    html = rendered(tmp_path)
    assert ("study", "◇&nbsp;0.9262") in cells(html, "not_run", "Llama 3 8B Instruct LoRA")
    assert (
        f"It follows <em>{study.TITLE}</em>, which compared Llama 3 8B with BERT and RoBERTa."
        in html.partition("<nav")[0]
    )
    assert "parameters were measured" not in html.partition("<nav")[0]
    assert 'id="runs"' not in html
    assert 'id="per_class"' not in html


def test_sections_stand_in_order_with_their_figures_first(tmp_path: Path) -> None:
    for model in ("minilm", "tfidf", "bert_base"):
        publish(tmp_path, a_record(model), ONE_WRONG)
    html = rendered(tmp_path, *FIGURES)
    ids = re.findall(r'<(?:section|figure|table)[^>]* id="([^"]+)"', html)
    empty = {"learning", "everything", "several-data-sets"}  # with nothing to show
    sections = [section.name for section in SECTIONS]
    assert [name for name in ids if name in sections] == [name for name in sections if name not in empty]
    assert ids[:7] == [
        "figure-scaling", "accuracy", "figure-accuracy", "table3_accuracy", "not_run", "compare", "differences",
    ]  # fmt: skip
    shown = {name for name in ALWAYS_SHOWN if TABLES[name].section}
    assert shown - {"learning_curve", "readouts", "tuning", "speed", "hard_items"} <= set(ids)


def test_every_table_has_a_section_of_the_page() -> None:
    assert {one.section for one in TABLES.values()} - {""} <= {section.name for section in SECTIONS}


def test_the_answer_comes_first_with_its_code(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, a_record("bert_base"), ONE_WRONG)
    findings = ("Said by the answer.", "*Two*.")
    html = rendered(tmp_path, "scaling", findings=findings, answer=("One `x < y`.", "Half."))
    answer, figure, others = re.split("</?figure.*?>", html.partition("<nav")[0])
    assert "<p>One <code>x &lt; y</code>.</p>\n<p>Half.</p>\n</div>" in answer
    assert "<figcaption" in figure
    assert re.findall("<li>(.*)</li>", others) == ["<em>Two</em>."]
    assert "Said by the answer." not in html


def test_a_message_opens_its_section(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    html = rendered(tmp_path, messages={"errors": ["It errs on `x`."], "none": ["Nowhere."]})
    section = html.partition('<section id="errors"')[2]
    assert section.index("It errs on <code>x</code>.") < section.index("<table")
    assert "Nowhere" not in html


def test_a_mark_shows_what_was_not_measured_here(tmp_path: Path) -> None:
    publish(tmp_path, a_record("bert_base"), ONE_WRONG)
    failure = Failure("No memory is left.", fix="Halve the batch.")
    publish(tmp_path, a_record("minilm", status=Status.failed, failure=failure))
    html = rendered(tmp_path)
    bert = cells(html, "table3_accuracy", "BERT base")
    assert ("study", "◇&nbsp;0.9063") in bert
    assert ("measured", "0.9000") in bert
    assert cells(html, "not_run", "BERT large") == [("study", "◇&nbsp;0.9086")]
    assert cells(html, "not_run", MINILM) == [("study", "–")]
    assert "no result: failed, No memory is left</a>" in table(html, "not_run")
    assert {source for source, _ in cells(html, "table1_models", "Llama 3 8B")} == {"study", "nothing"}
    assert {source for source, _ in cells(html, "table1_models", "RoBERTa base")} <= {"declared", "nothing"}
    assert {source for source, _ in cells(html, "table2_settings", "Llama 3 8B")} == {"study"}
    for model, status in (("RoBERTa base", "not_run"), ("BERT base", "measured")):
        settings = [source for source, _ in cells(html, "table2_settings", model)]
        assert settings == ["declared"] * (len(settings) - 1) + [status]
    assert {source for source, _ in cells(html, "study_audit", "BERT base")} == {"study", "derived"}
    assert {text[0] for text in re.findall(r'role="img" aria-label="[^"]*">(.)</span>', html)} == {"◇"}


def test_a_record_cannot_become_markup(tmp_path: Path) -> None:
    publish(tmp_path, titled(a_record("minilm"), HOSTILE), ONE_WRONG)
    failure = Failure(f"No {HOSTILE}.", f"Traceback {HOSTILE}", f"Remove {HOSTILE}.")
    publish(tmp_path, a_record("tfidf", status=Status.failed, failure=failure))
    publish(tmp_path, replace(a_record("bert_base"), environment=Environment(processor=HOSTILE)), ONE_WRONG)
    html = rendered(tmp_path, "accuracy", findings=(HOSTILE, HOSTILE), answer=(HOSTILE,))
    found = Elements(html)
    assert [script.get("type") for script in found.all("script")] == ["application/json", None]
    assert not found.all("b")
    assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
    assert "alert(1)</script>" not in html
    assert sum("<script>alert(1)</script>" in text for text in found.texts) > 4


def test_a_figure_is_named_by_its_caption_and_its_box_is_not(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    found = Elements(rendered(tmp_path, "accuracy"))
    (box,) = [one for one in found.all("div") if one.get("aria-label") == "Figure, scrollable"]
    named = [one["aria-labelledby"] for one in found.all("svg") if "aria-labelledby" in one]
    assert named == ["accuracy-alternative"] == [one["id"] for one in found.all("figcaption") if "id" in one]
    assert "aria-labelledby" not in box
    picture = Picture(FIGURES["frontier"], study.DATASET, "", caption="MiniLM is the most accurate.")
    assert picture.alternative == "MiniLM is the most accurate."


def test_every_colour_of_an_inlined_figure_follows_the_colour_scheme(tmp_path: Path) -> None:
    for model in ("minilm", "smollm2_lora", "tfidf", "bert_base"):
        for rows in (5, 7):
            publish(tmp_path, a_record_on_rows(rows, model, 0), ONE_WRONG)
        publish(tmp_path, a_record(model), ONE_WRONG)
        publish(tmp_path, a_record(model, dataset="mine", test_sha256="d" * 64), ONE_WRONG)
    html = Report(read_results(tmp_path)).page()
    assert {*re.findall('id="figure-([^"]+)"', html)} >= {*FIGURES}
    svgs = re.findall(r"<svg [^>]*version=.*?</svg>", html, re.DOTALL)
    values = {value for svg in svgs for value in re.findall(r"(?:fill|stroke|color)(?:: |=\")([^;\"]+)", svg)}
    assert {value for value in values if not value.startswith("var(--figure-")} == {"none"}


def test_a_control_character_in_a_title_is_replaced_in_figures(tmp_path: Path) -> None:
    publish(tmp_path, titled(a_record("minilm"), "a bell \x07"), ONE_WRONG)
    assert "a bell \N{REPLACEMENT CHARACTER}" in rendered(tmp_path, "accuracy").partition('id="figure-accuracy"')[2]


def test_only_the_pages_own_script_may_run_and_nothing_is_fetched(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    found = Elements(rendered(tmp_path, *FIGURES))
    (policy,) = [one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "script-src 'sha256-" in policy
    for _, attributes in found.found:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "").partition(":")[0] not in ("http", "https"), attributes
    assert not found.all("img")


def test_ids_are_unique_and_every_link_has_its_target(tmp_path: Path) -> None:
    for model in ("minilm", "tfidf", "bert_base"):
        publish(tmp_path, a_record(model), ONE_WRONG)
    publish(tmp_path, a_record("roberta_base", status=Status.failed, failure=Failure("No.")))
    publish(tmp_path, a_record("bert_large", status=Status.failed, failure=Failure("No.")))
    publish(tmp_path, a_record("bert_large", seed=1), ONE_WRONG)
    publish(tmp_path, a_record("majority", dataset="synthetic", test_sha256="d" * 64), [1] * 10)
    html = rendered(tmp_path, *FIGURES)
    found = Elements(html)
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(found.all("svg")) > 4
    links = [value for _, a in found.found for name in ("href", "xlink:href") if (value := a.get(name) or "")]
    targets = {link[1:] for link in links if link[0] == "#"} | set(re.findall(r"url\(#([^)]+)\)", html))
    assert targets <= set(ids)
    assert {block.anchor for block in blocks(tmp_path)} <= targets


@pytest.mark.parametrize(
    ("name", "linking"),
    [("table3_accuracy", "0.9000"), ("ties", "0.9000"), ("seeds", "0.9000"), ("frontier", "0.9000"),
     ("test_views", "0.9000"), ("table2_settings", "run"), ("per_class", None), ("selective", None)],
)  # fmt: skip
def test_the_first_measured_cell_of_a_row_links_to_its_runs(tmp_path: Path, name: str, linking: str | None) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (block,) = blocks(tmp_path)
    linked = re.findall(rf'<a href="#{block.anchor}">([^<]+)</a>', table(rendered(tmp_path), name))
    assert linked[:1] == ([] if linking is None else [linking])


def test_columns_sort_by_unrounded_numbers_and_are_aligned_by_kind(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    html = rendered(tmp_path)
    shown = table(html, "table3_accuracy")
    assert {"90.0", "0.9", "1.0"} <= set(re.findall(r'data-number="([^"]+)"', shown))
    assert re.search(r'<th scope="col" class="number interval"[^>]*>95% interval<', shown)
    assert re.search(r'<th scope="col">Hardware<', shown)
    assert re.search(r'<th scope="col" class="long">Weights<', table(html, "table1_models"))


def test_a_measured_row_has_only_its_remarks_and_what_all_rows_remark_is_the_note(tmp_path: Path) -> None:
    for model in ("minilm", "bert_base"):
        publish(tmp_path, a_record(model, dataset="mine"), [1] * 10)
    publish(tmp_path, a_record("minilm", seed=1, dataset="mine", status=Status.failed, failure=Failure("No.")))
    html = rendered(tmp_path)
    assert [cells(html, "leaderboard_mine", model)[-1] for model in (MINILM, "BERT base")] == [
        ("measured", "1 of 2 runs failed"),
        ("nothing", "–"),
    ]
    note = html.partition('id="leaderboard_mine"')[2].partition('<p class="note">')[2].partition("</p>")[0]
    assert note == "The same in every row: one label for every text, a constant prediction."
    publish(tmp_path, a_record("roberta_base", dataset="mine", status=Status.failed, failure=Failure("No.")))
    assert cells(rendered(tmp_path), "leaderboard_mine", "BERT base")[-1][1].startswith("measured; one label")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("leaderboard_mine", ["Model", "Accuracy", "95% interval"]),
        ("pairwise_mine", ["Better", "Other", "Difference", "95% interval"]),
        (
            "robustness",
            [
                "Model",
                "Change",
                "Predictions changed",
                "Accuracy, unchanged",
                "Accuracy, changed",
                "Difference",
                "95% interval",
            ],
        ),
    ],
)
def test_an_interval_stands_behind_what_it_belongs_to(tmp_path: Path, name: str, first: list[str]) -> None:
    own = {"dataset": "mine", "test_sha256": "d" * 64}
    for model in ("minilm", "tfidf"):
        publish(tmp_path, a_record(model, **own), ONE_WRONG)
    changed = a_record("minilm", 'dataset.perturb="typos"', dataset="mine", test_sha256="c" * 64)
    assert changed.data is not None
    data = replace(changed.data, perturbed_rows=5, unperturbed_sha256="d" * 64)
    publish(tmp_path, replace(changed, data=data, digest=digest_of(changed.config.as_json(), data.hashes())), ONE_WRONG)
    headings = re.findall(r'<th scope="col"[^>]*>([^<]+)<', table(rendered(tmp_path), name))
    assert headings[: len(first)] == first


def test_results_on_another_data_set_than_the_models_own_are_one_table(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    for number, name in enumerate(("tweets", "reviews")):
        record = a_record("minilm", test_sha256=str(number) * 64)
        assert record.data is not None
        dataset = replace(record.config.dataset, test=replace(record.config.dataset, name=name))
        record = replace(record, config=replace(record.config, dataset=dataset))
        publish(tmp_path, replace(record, digest=digest_of(record.config.as_json(), record.data.hashes())), ONE_WRONG)
    html = rendered(tmp_path)
    assert table(html, "transfer").count("<tr") == 3
    assert "Data set emotion-to-" not in html
    assert {"emotion-to-tweets", "emotion-to-reviews"} <= {block.dataset for block in blocks(tmp_path)}


def test_a_setting_that_all_rows_share_is_a_note_and_no_column(tmp_path: Path) -> None:
    html = rendered(tmp_path)
    assert "Max length" not in table(html, "table2_settings")
    assert "Optimizer" in table(html, "table2_settings")
    note = html.partition('id="table2_settings"')[2].partition('<p class="note">')[2].partition("</p>")[0]
    assert "The same in every row: " in note
    assert "; Max length 512;" in note


def test_a_short_table_has_no_filter_and_every_filter_says_of_what(tmp_path: Path) -> None:
    for number in range(8):
        publish(tmp_path, a_record("minilm", f"recipe.epochs={number + 1}", dataset="mine"), ONE_WRONG)
    publish(tmp_path, a_record("minilm", dataset="yours"), ONE_WRONG)
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    forms = [form.get("aria-label") for form in Elements(rendered(tmp_path)).all("form")]
    named = ["Accuracy on the emotion test split", "All configurations on mine"]
    # The second is that of the comparison.
    assert forms == [f"Filter: {named[0]}", None, f"Filter: {named[1]}", "Filter: Runs"]


def test_a_column_with_help_is_explained(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    html = rendered(tmp_path)
    assert '<th scope="col" class="number" title="mean over the seeds">Accuracy</th>' in table(html, "table3_accuracy")
    after = (
        html.partition('id="table3_accuracy"')[2]
        .partition("What the columns and names mean")[2]
        .partition("</details>")[0]
    )
    assert "<dt>Accuracy</dt><dd>mean over the seeds</dd>" in after
    assert "<dt>paper</dt>" in after


def test_long_tables_are_folded_and_cut_but_not_the_studys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    assert '<details class="folded">' not in rendered(tmp_path).partition('id="runs"')[0]
    monkeypatch.setattr(page_tables, "MOST_ROWS", 2)
    monkeypatch.setattr(page_tables, "MOST_UNFOLDED", 5)
    html = rendered(tmp_path)
    assert "Precision, recall and F1 by label, mean over seeds (6 rows)</summary>" in html
    assert "The first 2 of 6 rows." in html
    assert '<a href="tables/per_class.csv">' in html
    rows = len(TABLES["table2_settings"].data(AnalysedResults(read_results(tmp_path))))
    assert table(html, "table2_settings").count('<th scope="row">') == rows > 5
    assert "Experiment settings (" not in html


def test_measured_rows_of_table_3_stand_first_by_accuracy_and_the_others_are_folded(tmp_path: Path) -> None:
    for model, predicted in (("tfidf", ONE_WRONG), ("minilm", GOLD), ("bert_base", [1] * 10)):
        publish(tmp_path, a_record(model), predicted)
    html = rendered(tmp_path)
    shown = re.findall(r'<th scope="row">([^<]+) <', table(html, "table3_accuracy"))
    assert shown == [MINILM, "TF-IDF + logistic regression", "BERT base"]
    before, _, after = html.partition('id="not_run"')
    assert before.rpartition("<details")[2].startswith(' class="folded" id="not-run">')
    assert set(study.TABLE3_TITLES) - {"bert_base"} <= {
        row.split()[0] for row in re.findall(r"model=(\w+)</code>", after)
    }


def test_a_folder_with_own_data_only_has_its_answer_and_none_of_the_studys_tables(tmp_path: Path) -> None:
    for model in ("minilm", "tfidf", "bert_base"):
        publish(tmp_path, a_record(model, dataset="mine", test_sha256="d" * 64), ONE_WRONG)
    html = rendered(tmp_path, *FIGURES, findings=("The best model on mine.",))
    assert "<h1>Results on mine</h1>" in html
    assert "<span>Data sets</span>" in html
    assert "<summary>Figures and tables</summary>" not in html
    assert re.findall(r'<(?:section|figure|table)[^>]* id="([^"]+)"', html)[:3] == [
        "figure-scaling_mine", "data-1", "leaderboard_mine",
    ]  # fmt: skip
    assert not {"table1_models", "table3_accuracy", "not_run"} & set(re.findall(r' id="([^"]+)"', html))
    assert "Llama" not in html


def test_own_data_follow_the_studys_if_both_were_run(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, a_record("minilm", dataset="mine", test_sha256="d" * 64), ONE_WRONG)
    html = rendered(tmp_path)
    sections = re.findall(r'<section id="([^"]+)"', html)
    assert sections[0] == "accuracy"
    assert sections[-2:] == ["data-1", "runs"]
    assert "<summary>Figures and tables</summary>" in html.partition('<section id="data-1"')[2].partition("<table")[0]


def test_what_was_not_run_is_counted_and_only_reduced_runs_are_no_result(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm", "dataset.train_rows=9"), ONE_WRONG)
    html = rendered(tmp_path)
    rows = re.findall(r'<tr data-kind="[^"]*">.*?</tr>', table(html, "not_run"))
    of_study = sum("◇" in row for row in rows)
    assert of_study == len(study.TABLE3)
    numbers = f"{len(rows)} models, {of_study} of the study and {len(rows) - of_study} others"
    counted = f"Not run here on all training texts: {numbers}</summary>"
    assert counted in html
    assert [MINILM in row for row in rows if "only reduced runs" in row] == [True]


def test_the_head_does_not_say_that_a_measured_llama_was_not_run(tmp_path: Path) -> None:
    publish(tmp_path, a_record("llama3_lora"), ONE_WRONG)
    head = rendered(tmp_path).partition("<nav")[0]
    assert "was not measured here" not in head
    assert "the accuracy of models of up to 8.03 billion parameters was measured here" in head


def test_every_row_of_table_3_has_its_command(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm", seed=1), ONE_WRONG)
    publish(tmp_path, a_record("tfidf", status=Status.failed, failure=Failure("No.")))
    html = rendered(tmp_path)
    table3 = TABLES["table3_accuracy"].data(AnalysedResults(read_results(tmp_path)))
    missing = table3[table3["accuracy"].isna()]
    assert len(missing) == len(table3) - 1
    assert all(f"<code>{command}</code>" in table(html, "not_run") for command in missing["command"])
    assert all(f"<code>{command}</code>" in html for command in table3["command"])


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    made: list[Any] = [a_record("minilm", seed=seed) for seed in (0, 1)] + [a_record("tfidf")]
    for place, order in (("one", made), ("two", made[::-1])):
        for record in order:
            publish(tmp_path / place, record, ONE_WRONG)
    one, two = (rendered(tmp_path / place, *FIGURES) for place in ("one", "two"))
    assert one == two
    assert str(tmp_path) not in one


# The blocks of runs


def test_the_seeds_of_a_configuration_share_a_block(tmp_path: Path) -> None:
    for seed in range(3):
        publish(tmp_path, a_record("minilm", seed=seed), ONE_WRONG)
    html = rendered(tmp_path)
    assert html.count('<details class="configuration"') == 1
    assert html.count("<polyline") == 3
    (block,) = blocks(tmp_path)
    assert block.command == "python -m benchmark -m model=minilm dataset=emotion recipe=paper seed=0,1,2"
    assert block.facts == ["emotion", "3 runs", "accuracy 0.9000"]
    assert [heading for heading, _ in block.settings] == [
        "Configuration", "Environment, seeds 0, 1, 2", "Data and weights, seeds 0, 1, 2",
    ]  # fmt: skip


def test_a_run_has_its_scores_costs_and_files(tmp_path: Path) -> None:
    record = replace(a_record("minilm"), environment=Environment("3.11", git=Git("0123456789", modified=True)))
    run = publish(tmp_path, record, ONE_WRONG)
    (run.folder / "confusion.png").write_bytes(b"a plot")
    html = rendered(tmp_path)
    shown = html.partition('aria-label="Runs by seed"')[2].partition("</table>")[0]
    texts = [text.strip() for text in re.findall("<td[^>]*>([^<]*)</td>", shown)]
    assert texts == [
        "completed", "0.9000", "0.9111", "0.1000", "1.5 min", "1.07 GB", "CPU, ? cores", "2026-01-01 10:00",
        "01234567+",
    ]  # fmt: skip
    links = {str(link["href"]) for link in Elements(shown).all("a")}
    assert links == {f"runs/{run.name}/{name}" for name in ("record.json", "predictions.parquet", "confusion.png")}
    assert all((tmp_path / link).is_file() for link in links)


def test_a_time_on_a_shared_device_is_marked_and_explained(tmp_path: Path) -> None:
    publish(tmp_path, replace(a_record("minilm", seed=1), environment=Environment(device_shared=True)), ONE_WRONG)
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    shown = rendered(tmp_path).partition('aria-label="Runs by seed"')[2].partition("<details")[0]
    assert re.findall("<td([^>]*)>(1.5 min[^<]*)<", shown) == [("", "1.5 min"), (' data-source="nothing"', "1.5 min *")]
    assert "* Other jobs used the device" in shown


def test_a_failed_run_has_its_failure_and_no_scores(tmp_path: Path) -> None:
    failure = Failure("No memory is left.", "Traceback (most recent)", "Halve the batch.")
    publish(tmp_path, replace(a_record("minilm", status=Status.failed, failure=failure), seconds={}, peak_memory={}))
    (block,) = blocks(tmp_path)
    assert block.facts == ["emotion", "1 run", "1 failed"]
    assert block.runs[0].scores == {}
    assert block.runs[0].files == ["record.json"]
    assert (block.panels, block.confusion) == ([], None)
    html = rendered(tmp_path)
    assert "<strong>Seed 0, failed:</strong> No memory is left. Halve the batch." in html
    assert '<details><summary>Traceback</summary><pre tabindex="0">Traceback (most recent)</pre>' in html


def test_random_weights_have_no_accuracy_and_no_confusion_matrix(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm", fit=RANDOM_FIT), ONE_WRONG)
    (block,) = blocks(tmp_path)
    assert block.facts == ["emotion", "1 run", "random weights"]
    assert block.confusion is None
    assert "0.9000" not in rendered(tmp_path)


def test_free_answers_have_no_calibration_error_and_may_name_no_label(tmp_path: Path) -> None:
    record = a_record("smollm2_lora", "model.readout=generate")
    publish(tmp_path, record, [NO_LABEL, *GOLD[1:]], ["words"] * 10)
    (block,) = blocks(tmp_path)
    assert block.runs[0].scores["accuracy"] == 0.9
    assert set(block.runs[0].scores) == {"accuracy", "macro_f1"}
    assert block.confusion is not None
    assert block.confusion["no label"].tolist() == [1, 0, 0, 0, 0, 0]


def test_the_confusion_matrix_counts_all_seeds(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, a_record("minilm", seed=1), GOLD)
    (block,) = blocks(tmp_path)
    assert block.confusion is not None
    assert block.confusion.loc["anger"].tolist() == [1, 0, 0, 3, 0, 0]
    assert '<td style="--share:0.25">1</td>' in rendered(tmp_path)


@pytest.mark.parametrize(("most", "shown"), [(6, True), (5, False)])
def test_a_confusion_matrix_of_many_labels_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, shown: bool
) -> None:
    monkeypatch.setattr(run_details, "MOST_LABELS", most)
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (block,) = blocks(tmp_path)
    assert (block.confusion is not None) == shown


def test_a_curve_starts_at_zero_for_a_loss_and_at_the_lowest_accuracy(tmp_path: Path) -> None:
    curve = (CurvePoint(5, 0.5, 1.5, None, 0.25), CurvePoint(10, 1.0, 0.5, None, 0.75))
    publish(tmp_path, a_record("minilm", fit=replace(FIT, curve=curve)), ONE_WRONG)
    (block,) = blocks(tmp_path)
    loss, accuracy = block.panels
    assert (loss.low, loss.high, loss.last_step, loss.lines) == ("0", "1.5", 10, ["150,0 300,73"])
    assert loss.summary == "Training loss: from 1.500 to 0.500 in 10 steps"
    assert (accuracy.low, accuracy.high, accuracy.lines) == ("0.25", "0.75", ["150,110 300,0"])


def test_a_long_curve_is_thinned_and_keeps_its_last_point(tmp_path: Path) -> None:
    points = tuple(CurvePoint(step, step / 9, loss=1 / (1 + step)) for step in range(1, 5001))
    publish(tmp_path, a_record("minilm", fit=replace(FIT, curve=points)), ONE_WRONG)
    ((panel,),) = [block.panels for block in blocks(tmp_path)]
    assert len(panel.lines[0].split()) == 101
    assert panel.lines[0].split()[-1].startswith("300,")


def test_the_settings_list_configuration_data_and_weights(tmp_path: Path) -> None:
    fit = replace(FIT, truncated_texts=sum(TRAIN_COUNTS.values()) // 2)
    publish(tmp_path, a_record("minilm", fit=fit), ONE_WRONG)
    (block,) = blocks(tmp_path)
    settings = {heading: text.splitlines() for heading, text in block.settings}
    assert "recipe.learning_rate: 5e-05" in settings["Configuration"]
    assert not [line for line in settings["Configuration"] if line.startswith("seed") or line.endswith("None")]
    assert "dataset.labels: sadness, joy, love, anger, fear, surprise" in settings["Configuration"]
    assert {
        "data.test texts in train: 1",
        "data.train texts cut to max_length: 50.0%",
        "data.train.rows: 140",
        "weights.package: some-weights==1.0",
    } <= set(settings["Data and weights, seed 0"])


def test_seeds_with_different_environments_are_told_apart(tmp_path: Path) -> None:
    for seed, cores in enumerate((2, 2, 4)):
        record = replace(a_record("minilm", seed=seed), environment=Environment(cores=cores))
        publish(tmp_path, record, ONE_WRONG)
    (block,) = blocks(tmp_path)
    assert [heading for heading, _ in block.settings[1:3]] == ["Environment, seeds 0, 1", "Environment, seed 2"]


def test_runs_are_grouped_by_data_set_and_model(tmp_path: Path) -> None:
    for dataset, model, seed in (("mine", "minilm", 0), ("emotion", "tfidf", 0), ("emotion", "minilm", 0)):
        publish(tmp_path, a_record(model, dataset=dataset, seed=seed), ONE_WRONG)
    publish(tmp_path, a_record("minilm", seed=1), ONE_WRONG)
    publish(tmp_path, a_record("minilm", "recipe.epochs=9"), ONE_WRONG)
    runs = rendered(tmp_path).partition('id="runs"')[2]
    assert re.findall('<h3>(.*?)</h3>|folded"><summary>(.*?)</summary>', runs) == [
        ("emotion", ""),
        ("", f"{MINILM} (2 configurations, 3 runs)"),
        ("", "TF-IDF + logistic regression (1 configuration, 1 run)"),
        ("mine", ""),
        ("", f"{MINILM} (1 configuration, 1 run)"),
    ]


def test_blocks_are_sorted_by_data_set_label_and_size(tmp_path: Path) -> None:
    for rows in (1000, 20, 3):
        publish(tmp_path, a_record("minilm", f"dataset.train_rows={rows}"), ONE_WRONG)
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, a_record("bert_base", "dataset.test_rows=1"), ONE_WRONG)
    publish(tmp_path, a_record("bert_base", dataset="another"), ONE_WRONG)
    found = blocks(tmp_path)
    assert [block.name for block in found] == [
        "BERT base, paper, 1 test text",
        f"{MINILM}, paper",
        *(f"{MINILM}, paper, {rows} training texts" for rows in (3, 20, 1000)),
        "BERT base, paper",
    ]
    assert found[0].facts[-1] == "only 1 test row"
    assert found[-2].facts[-1] == "only 1,000 training rows"
