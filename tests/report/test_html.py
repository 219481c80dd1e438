"""The page as text: what it says, where each cell comes from, and that nothing in a record can become markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark.analysis.evidence import read_evidence
from factories import FIT, GOLD, TRAIN_COUNTS, a_record, on_rows, publish

from benchmark.analysis import study
from benchmark.interface import CurvePoint
from benchmark.report import build as report
from benchmark.report import html as page_module
from benchmark.report.figures import FIGURES, svg_with_text
from benchmark.report.run_details import details
from benchmark.report.tables import TABLES, leaderboard
from benchmark.report.terminal import print_standing
from benchmark.results.record import Failure, Status

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
HOSTILE = "<script>alert(1)</script> & \"quoted\" --> <!-- <b onclick='x'>"


class Elements(HTMLParser):
    """Every element of a page, in order, with its attributes, and the text below each `id`."""

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


def rendered(results: Path, *figures: str) -> str:
    evidence = read_evidence(results)
    tables = {name: table(evidence) for name, table in TABLES.items()}
    for dataset in sorted({run.record.dataset for run in evidence.runs}):
        tables[f"leaderboard_{dataset}"] = leaderboard(evidence, dataset)
    drawn = {name: svg_with_text(figure) for name in figures if (figure := FIGURES[name](evidence)) is not None}
    return page_module.page(evidence, tables, drawn)


def answer(html: str) -> str:
    block = html.partition('<div class="answer">')[2].partition("</div>")[0]
    return " ".join(re.sub("<[^>]*>", "", block).split())


def cells(html: str, table: str, row: str) -> list[tuple[str | None, str]]:
    """Provenance and text of each cell of the row that starts with this name."""
    body = html.partition(f'id="{table}">')[2].partition("</table>")[0]
    (found,) = [part for part in body.split("<tr>") if f'<th scope="row">{row}</th>' in part]
    return [
        (source, re.sub("<[^>]*>", "", content).strip())
        for source, content in re.findall(r'<td data-source="(\w+)"[^>]*>(.*?)</td>', found, re.DOTALL)
    ]


def test_without_runs_the_page_says_that_nothing_was_measured(tmp_path: Path) -> None:
    html = rendered(tmp_path)
    said = answer(html)
    assert said.startswith("Nothing has been measured here yet.")
    assert "none of its five models has been run here" in said
    assert "0.9262" in said
    assert "Table 3" in html


def test_where_only_small_models_ran_the_answer_stays_open(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    said = answer(rendered(tmp_path))
    assert "The most accurate model measured here is MiniLM-L6 (22M BERT)" in said
    assert "0.9000 of the 10 test texts (95% interval 0.5958 to 0.9821, one seed)" in said
    assert "none of its five models has been run here, so whether the big model pays stays open" in said


def test_the_answer_names_whom_the_best_is_tied_with_and_what_was_not_run(tmp_path: Path) -> None:
    publish(tmp_path, a_record("llama3_lora"), GOLD)
    publish(tmp_path, a_record("bert_base"), ONE_WRONG)
    said = answer(rendered(tmp_path))
    assert "statistically tied with BERT base (uncased) on recipe paper (0.9000)" in said
    assert (
        "Llama3-8b at 1.0000 (one seed) and the best encoder, Bert-Base at 0.9000 (one seed), are statistically" in said
    )
    assert "not run: Bert-Large, Roberta-Base and Roberta-Large" in said


def test_a_run_that_does_not_repeat_the_study_does_not_answer_for_it(tmp_path: Path) -> None:
    publish(tmp_path, a_record("llama3_lora", "recipe.learning_rate=0.001"), GOLD)
    assert "none of its five models has been run here" in answer(rendered(tmp_path))


def test_every_cell_says_where_it_comes_from(tmp_path: Path) -> None:
    publish(tmp_path, a_record("bert_base"), ONE_WRONG)
    publish(tmp_path, a_record("minilm", status=Status.failed, failure=Failure("no memory left; halve the batch.")))
    html = rendered(tmp_path)
    bert = cells(html, "table3_accuracy", "BERT base (uncased)")
    assert ("study", "◇&nbsp;0.9063") in bert
    assert ("measured", "●&nbsp;0.9000") in bert
    large = cells(html, "table3_accuracy", "BERT large (uncased)")
    assert ("study", "◇&nbsp;0.9086") in large
    assert {source for source, _ in large} == {"study", "declared", "not_run"}
    assert ("not_run", "○&nbsp;not run: failed, no memory left") in cells(
        html, "table3_accuracy", "MiniLM-L6 (22M BERT)"
    )
    assert {source for source, _ in cells(html, "table1_models", "Llama3-8b")} == {"study", "nothing"}
    assert {source for source, _ in cells(html, "table1_models", "RoBERTa base")} <= {"declared", "nothing"}
    settings = cells(html, "table2_settings", "RoBERTa base")
    assert [source for source, _ in settings] == ["declared"] * (len(settings) - 1) + ["not_run"]
    settings = cells(html, "table2_settings", "BERT base (uncased)")
    assert [source for source, _ in settings] == ["declared"] * (len(settings) - 1) + ["measured"]
    assert {source for source, _ in cells(html, "study_audit", "Bert-Base")} == {"study", "derived"}
    inside = html.partition('id="table3_accuracy"')[2].partition("</table>")[0]
    assert inside.count("<td") == inside.count('role="img" aria-label=')


def test_whatever_a_record_says_is_shown_as_text(tmp_path: Path) -> None:
    config = dict(a_record("minilm").config)
    config["model"] = {**config["model"], "title": HOSTILE}
    publish(tmp_path, a_record("minilm", config=config), ONE_WRONG)
    failure = Failure(f"no {HOSTILE}", f"Traceback {HOSTILE}")
    publish(tmp_path, a_record("tfidf", status=Status.failed, failure=failure))
    record = replace(a_record("bert_base"), environment={"processor": HOSTILE, "cores": 2})
    publish(tmp_path, record, ONE_WRONG)
    html = rendered(tmp_path, "accuracy")
    found = Elements(html)
    assert len(found.all("script")) == 1
    assert not found.all("b")
    assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
    assert "alert(1)</script>" not in html
    assert sum("<script>alert(1)</script>" in text for text in found.texts) > 4


def test_a_control_character_in_a_title_does_not_break_the_plots(tmp_path: Path) -> None:
    config = dict(a_record("minilm").config)
    config["model"] = {**config["model"], "title": "a bell \x07"}
    publish(tmp_path, a_record("minilm", config=config), ONE_WRONG)
    assert "a bell \N{REPLACEMENT CHARACTER}" in rendered(tmp_path, "accuracy").partition('id="figure-accuracy"')[2]


def test_only_the_pages_own_script_may_run_and_nothing_is_fetched(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    html = rendered(tmp_path, *FIGURES)
    found = Elements(html)
    (policy,) = [one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "script-src 'sha256-" in policy
    for _, attributes in found.found:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "").partition(":")[0] not in ("http", "https"), attributes
    assert not found.all("img")


def test_ids_are_unique_however_many_figures_there_are_and_links_lead_somewhere(tmp_path: Path) -> None:
    for model in ("minilm", "tfidf", "bert_base"):
        publish(tmp_path, a_record(model), ONE_WRONG)
    publish(tmp_path, a_record("majority", dataset="synthetic"), [1] * 10)
    html = rendered(tmp_path, *FIGURES)
    found = Elements(html)
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(found.all("svg")) > 4
    targets = {
        value for _, a in found.found for name in ("href", "xlink:href") if (value := a.get(name) or "")[:1] == "#"
    }
    targets |= {f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", html)}
    assert targets <= {f"#{name}" for name in ids}
    assert any(target.startswith("#run-tfidf") for target in targets)


def test_files_of_a_run_are_linked_beside_the_page(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (run.folder / "confusion.png").write_bytes(b"a plot")
    links = {link["href"] for link in Elements(rendered(tmp_path)).all("a")}
    files = {link for link in links if link is not None and link.startswith("runs/")}
    assert files == {f"runs/{run.name}/{name}" for name in ("record.json", "predictions.parquet", "confusion.png")}
    assert all((tmp_path / link).is_file() for link in files)


def test_a_failure_is_shown_with_its_traceback_folded(tmp_path: Path) -> None:
    failed = a_record("minilm", status=Status.failed, failure=Failure("no memory left.", "Traceback (most recent)"))
    publish(tmp_path, failed)
    html = rendered(tmp_path)
    assert "Seed 0, failed:</strong> no memory left." in html
    assert '<details><summary>Traceback</summary><pre tabindex="0">Traceback (most recent)</pre>' in html


def test_all_seeds_of_a_variant_stand_in_one_block_with_their_curves(tmp_path: Path) -> None:
    for seed in range(3):
        publish(tmp_path, a_record("minilm", seed=seed), ONE_WRONG)
    html = rendered(tmp_path)
    assert html.count('<details class="variant">') == 1
    assert html.count("<polyline") == 3
    assert "Training loss: from 1.500 to 0.500 in 24 steps" in html
    assert "python -m benchmark -m model=minilm dataset=emotion recipe=paper seed=0,1,2" in html


def test_a_curve_has_no_more_points_than_can_be_seen(tmp_path: Path) -> None:
    points = tuple(CurvePoint(step, step / 9, loss=1 / (1 + step)) for step in range(1, 5001))
    publish(tmp_path, a_record("minilm", fit=replace(FIT, curve=points)), ONE_WRONG)
    (line,) = re.findall(r'<polyline points="([^"]+)"', rendered(tmp_path))
    assert 50 <= len(line.split()) <= 101
    assert line.split()[-1].startswith("300,")


def test_random_weights_get_no_accuracy_and_no_confusion(tmp_path: Path) -> None:
    publish(
        tmp_path,
        a_record("minilm", "model.weights.source=random", fit=replace(FIT, weights={"source": "random"})),
        ONE_WRONG,
    )
    html = rendered(tmp_path)
    assert '<table class="confusion">' not in html
    assert "random weights" in html.partition('id="runs"')[2]
    assert "0.9000" not in html


def test_a_table_or_figure_that_nobody_has_placed_is_shown_all_the_same(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    evidence = read_evidence(tmp_path)
    tables = {name: table(evidence) for name, table in TABLES.items()}
    figures = {name: svg_with_text(figure) for name in ("accuracy",) if (figure := FIGURES[name](evidence))}
    html = page_module.page(evidence, {**tables, "new_table": tables["seeds"]}, {"new_figure": figures["accuracy"]})
    more = html.partition('<section id="further"')[2].partition("</section>")[0]
    assert "New table" in more
    assert 'id="figure-new_figure"' in more


def test_a_long_table_is_cut_and_says_where_the_rest_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MOST_ROWS", 2)
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    html = rendered(tmp_path)
    assert "2 of 6 rows" in html
    assert '<a href="tables/per_class.csv">' in html
    table3 = html.partition('id="table3_accuracy"')[2].partition("</table>")[0]
    assert table3.count('<th scope="row">') == len(TABLES["table3_accuracy"](read_evidence(tmp_path)))


def test_a_footnote_stands_below_its_table_with_its_emphasis(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    html = rendered(tmp_path)
    below = html.partition('id="table2_settings"')[2].partition("</table>")[2].partition("</section>")[0]
    assert "<code>*</code> differs from the study. AdamW without decay is Adam." in below
    assert "<em>means of runs</em>" in html


def test_every_row_of_table_3_has_its_command(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm", seed=1), ONE_WRONG)
    html = rendered(tmp_path)
    commands = html.partition('id="commands"')[2].partition("</table>")[0]
    table3 = TABLES["table3_accuracy"](read_evidence(tmp_path))
    assert all(f"<code>{command}</code>" in commands for command in table3["command"])
    assert set(study.TABLE3) <= {name.removeprefix("how-") for name in re.findall(r'id="(how-\w+)"', commands)}


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    made: list[Any] = [a_record("minilm", seed=seed) for seed in (0, 1)] + [a_record("tfidf")]
    for place, order in (("one", made), ("two", made[::-1])):
        for record in order:
            publish(tmp_path / place, record, ONE_WRONG)
    one, two = (rendered(tmp_path / place, *FIGURES) for place in ("one", "two"))
    assert one == two
    assert str(tmp_path) not in one


def test_a_built_page_is_compared_by_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FIGURES", {"accuracy": FIGURES["accuracy"]})
    results, readme = tmp_path / "results", tmp_path / "README.md"
    publish(results, a_record("minilm"), ONE_WRONG)
    readme.write_text(f"{report.BEGIN}\n{report.END}\n", encoding="utf-8")
    evidence = read_evidence(results)
    report.build(evidence, results)
    report.write_section(readme, report.section(evidence))
    assert report.out_of_date(results, readme) == []
    page = results / "report.html"
    page.write_text(page.read_text(encoding="utf-8").replace("0.9000", "0.9900"), encoding="utf-8")
    assert report.out_of_date(results, readme) == [str(page)]
    page.unlink()
    assert report.out_of_date(results, readme) == [str(page)]


def test_sizes_in_the_page_are_numbers_and_not_words(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    table = rendered(tmp_path).partition('id="table3_accuracy"')[2].partition("</table>")[0]
    numbers = re.findall(r'data-number="([^"]+)"', table)
    assert np.isfinite([float(number) for number in numbers]).all()
    assert "90.0" in numbers


def test_texts_cut_to_the_limit_stand_with_a_runs_data(tmp_path: Path) -> None:
    train = sum(TRAIN_COUNTS.values())
    publish(tmp_path, a_record("minilm", fit=replace(FIT, truncated_texts=train // 2)), ONE_WRONG)
    assert "data.train texts cut to max_length: 50.0%" in rendered(tmp_path)


def test_a_row_of_a_learning_curve_does_not_lead_to_runs_on_more_rows(tmp_path: Path) -> None:
    for rows in (10, 100):
        publish(tmp_path, on_rows(rows), ONE_WRONG)
    publish(tmp_path, on_rows(1000, asked=False), ONE_WRONG)
    html = rendered(tmp_path)
    curve = html.partition('id="learning_curve"')[2].partition("</table>")[0]
    assert "0.9000" in curve
    assert "<a href" not in curve
    assert "<a href" in html.partition('id="table3_accuracy"')[2].partition("</table>")[0]


def test_runs_stand_by_model_and_by_the_size_of_what_was_set(tmp_path: Path) -> None:
    for rows in (1000, 20, 3):
        publish(tmp_path, a_record("minilm", f"dataset.train_rows={rows}"), ONE_WRONG)
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, a_record("bert_base", "dataset.test_rows=1"), ONE_WRONG)
    blocks = details(read_evidence(tmp_path))
    minilm = "MiniLM-L6 (22M BERT), paper"
    assert [block.title for block in blocks] == [
        "BERT base (uncased), paper, dataset.test_rows=1",
        minilm,
        *(f"{minilm}, dataset.train_rows={rows}" for rows in (3, 20, 1000)),
    ]
    assert blocks[0].facts[-1] == "only 1 test row"
    assert blocks[-1].facts[-1] == "only 1,000 training rows"


def test_memory_is_the_accelerators_where_there_is_one(tmp_path: Path) -> None:
    memory = {"host": 5 * 2**30, "device": 2**30}
    publish(tmp_path, replace(a_record("minilm"), peak_memory=memory), ONE_WRONG)
    (block,) = details(read_evidence(tmp_path))
    assert block.runs[0]["memory"] == "1.00 GiB"


def test_a_missing_file_of_predictions_ends_a_command_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (run.folder / "predictions.parquet").unlink()
    print_standing(tmp_path, "emotion", "2026")
    assert "predictions.parquet" in capsys.readouterr().err


def test_links_lead_to_the_block_of_a_variant_whose_first_seed_failed(tmp_path: Path) -> None:
    publish(tmp_path, a_record("minilm", status=Status.failed, failure=Failure("no")))
    publish(tmp_path, a_record("minilm", seed=1), ONE_WRONG)
    elements = Elements(rendered(tmp_path))
    ids = {element["id"] for _, element in elements.found if element.get("id")}
    links = {str(element["href"]) for element in elements.all("a") if str(element.get("href")).startswith("#run-")}
    assert links
    assert {link[1:] for link in links} <= ids


def test_the_page_leaves_out_of_a_table_what_the_figure_beside_it_shows(tmp_path: Path) -> None:
    for rows in (5, 7):
        publish(tmp_path, on_rows(rows), ONE_WRONG)
    table = rendered(tmp_path).partition('id="learning_curve">')[2].partition("</table>")[0]
    assert "Macro-F1" in table
    assert "F1 joy" not in table
    assert re.search(r'<td data-source="declared"[^>]*>(?:(?!</td>).)*5\s*</td>', table, re.DOTALL)  # training rows
