"""The page in a real Chromium: with mouse and keyboard, on a phone, in dark mode, without scripts and in print."""

import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import CHROMIUM
from factories import FIT, GOLD, a_record, publish
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.comparisons import by_test_texts
from benchmark.analysis.frame import read_results
from benchmark.interface import CurvePoint, WeightSource
from benchmark.report import build as report
from benchmark.report.figures import FIGURES
from benchmark.results.record import Failure, Status

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
CURVE = tuple(CurvePoint(48 * i, i / 16, 2 / i, 2 / i if i % 5 == 0 else None, 1 - 1 / i) for i in range(1, 51))
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with runs of every kind: several seeds, failed, interrupted, constant, random weights, a reduced run."""
    results = tmp_path_factory.mktemp("results")
    for seed, wrong in enumerate((ONE_WRONG, ONE_WRONG[::-1], GOLD)):
        publish(results, a_record("minilm", seed=seed, fit=replace(FIT, training_seconds=9.0, curve=CURVE)), wrong)
    publish(results, a_record("tfidf", fit=replace(FIT, training_seconds=700.0, curve=())), ONE_WRONG)
    publish(results, a_record("majority", fit=replace(FIT, training_seconds=90.0, curve=())), [1] * 10)
    failure = Failure("loss is <not> a number.", "Traceback\n" + "  a long line of it " * 40)
    publish(results, a_record("smollm2_lora", status=Status.failed, failure=failure))
    publish(results, a_record("minilm", "recipe.epochs=9", status=Status.interrupted, failure=Failure("SIGTERM")))
    publish(results, a_record("llama3_lora", "dataset.train_rows=5"), ONE_WRONG)
    publish(
        results, a_record("minilm", "model.weights.source=random", fit=replace(FIT, weights=WeightSource("random")))
    )
    for model in ("tfidf", "minilm", "bert_base"):
        publish(results, a_record(model, dataset="synthetic", test_sha256="d" * 64), ONE_WRONG)
    report.build(report.Report(read_results(results)), results)
    return results / report.PAGE


@pytest.fixture
def page(browser: Browser, report_page: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The open page. Parametrise this fixture, for example with `settings`, to change the browser's settings."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **getattr(request, "param", {})})
    opened = context.new_page()
    opened.goto(report_page.as_uri())
    yield opened
    context.close()


def settings(**values: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", [values], indirect=True)


def column(page: Page, heading: str, table: str = "table3_accuracy") -> list[str]:
    """The cells of a column from the top, without their source symbols and second lines."""
    names = [name.strip() for name in page.locator(f"#{table} thead th").all_inner_texts()]
    cells = page.locator(f"#{table} tbody tr > :nth-child({names.index(heading) + 1})").all_inner_texts()
    return [cell.split("\n")[0].lstrip("◇– \N{NO-BREAK SPACE}") for cell in cells]


def unfold(page: Page) -> None:
    """Open every details element."""
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true })")


def test_the_page_logs_no_error_and_requests_no_other_file(browser: Browser, report_page: Path, tmp_path: Path) -> None:
    alone = shutil.copy(report_page, tmp_path / "alone.html")
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(Path(alone).as_uri())
    page.locator("#table3_accuracy button").first.click()
    unfold(page)
    context.close()
    assert errors == []
    assert [url for url in requested if not url.startswith("data:")] == [Path(alone).as_uri()]


def test_a_click_sorts_by_number_and_a_second_click_reverses_the_order(page: Page) -> None:
    assert column(page, "Training") != ["9.0 s", "1.5 min", "11.7 min"]
    heading = page.locator("#table3_accuracy th", has_text="Training")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    measured = [cell for cell in column(page, "Training") if cell]
    assert measured == ["9.0 s", "1.5 min", "11.7 min"]
    assert column(page, "Training")[:3] == measured  # empty cells come last
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(page, "Training")[:3] == measured[::-1]
    assert page.locator("#table3_accuracy [aria-sort]").count() == 1


def test_the_keyboard_sorts_a_column_of_words_alphabetically(page: Page) -> None:
    button = page.locator("#table3_accuracy th", has_text="Model").locator("button")
    assert button.get_attribute("aria-label") == "Sort by Model"
    button.focus()
    page.keyboard.press("Enter")
    assert column(page, "Model") == sorted(column(page, "Model"), key=str.lower)
    page.keyboard.press("Space")
    assert column(page, "Model") == sorted(column(page, "Model"), key=str.lower, reverse=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert column(page, "Accuracy") == sorted(column(page, "Accuracy"))


def test_every_table_fits_a_laptop_screen(page: Page) -> None:
    unfold(page)
    boxes = "[...document.querySelectorAll('.box')].filter((box) => box.scrollWidth > box.clientWidth)"
    assert page.evaluate(f"{boxes}.map((box) => box.textContent.slice(0, 200))") == []


def test_a_wide_table_grows_beyond_the_text_and_the_page_does_not_scroll_sideways(page: Page) -> None:
    box = page.locator(".box", has=page.locator("#table1_models"))
    assert box.evaluate("(element) => element.clientWidth > element.closest('section').clientWidth + 200")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_number_links_to_its_runs(page: Page) -> None:
    link = page.locator("#table3_accuracy tr", has_text="MiniLM-L6").locator("a").first
    target = link.get_attribute("href")
    opened = page.locator(f"details.configuration:has({target})")
    assert not opened.evaluate("(element) => element.open")
    link.click()
    expect(opened).to_have_attribute("open", "")
    expect(opened.locator("summary").first).to_be_focused()
    shown = opened.inner_text()
    assert "seed=0,1,2" in shown
    assert "Training loss: from 2.000 to 0.040" in shown
    assert opened.locator("tbody tr", has_text="completed").count() == 3
    box = opened.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 800


def test_runs_are_filtered_and_a_link_to_a_hidden_run_clears_the_filter(page: Page) -> None:
    form, shown = page.locator("#runs form.filters"), page.locator("#runs details.configuration:visible .name")
    assert shown.count() == 0  # the models are folded
    form.locator("input[type=search]").fill("tf-idf SYNTHETIC")
    assert shown.all_inner_texts() == ["TF-IDF + logistic regression, paper"]
    assert page.locator("#runs h3:visible").all_inner_texts() == ["synthetic"]
    assert form.locator("output").inner_text() == "1 of 10 shown"
    link = page.locator("#table3_accuracy tr", has_text="MiniLM-L6").locator("a").first
    summary = page.locator(f"details.configuration:has({link.get_attribute('href')}) > summary")
    for _ in range(2):  # the second click does not change the address
        form.locator("input[type=search]").fill("synthetic")
        assert not summary.is_visible()
        link.click()
        expect(summary).to_be_focused()
        assert form.locator("output").inner_text() == ""


def test_models_that_were_not_run_unfold_with_their_commands(page: Page) -> None:
    row = page.locator("#not_run tr", has_text="RoBERTa large")
    assert not row.is_visible()
    page.locator("#not-run summary").click()
    assert row.is_visible()
    assert "python -m benchmark model=roberta_large" in row.inner_text()


def test_rows_are_filtered_by_text_kind_and_whether_they_were_measured(page: Page) -> None:
    form = page.locator("#accuracy form.filters")
    search, kind, count = form.locator("input[type=search]"), form.locator("select"), form.locator("output")
    shown = page.locator("#table3_accuracy tbody tr:visible th")
    search.fill("minilm PAPER")
    assert [text.split("\n")[0] for text in shown.all_inner_texts()] == ["MiniLM-L6"]
    search.fill("roberta")
    assert shown.count() == 0
    assert not page.locator("#table3_accuracy").is_visible()
    assert page.locator("#not_run tr:visible", has_text="RoBERTa large").is_visible()  # unfolded by the match
    form.locator("input[type=checkbox]").check()
    assert not page.locator("#not-run").is_visible()
    assert count.inner_text() == "No row matches."
    form.locator("button").click()
    assert count.inner_text() == ""
    assert shown.count() == 3
    assert not form.locator("button").is_visible()
    kind.select_option("linear")
    assert [text.split("\n")[0] for text in shown.all_inner_texts()] == ["TF-IDF + logistic regression"]


def test_the_comparison_has_the_numbers_that_python_computes(page: Page, report_page: Path) -> None:
    """For every two configurations: A more accurate than B, and the other way round."""
    analysis = AnalysedResults(read_results(report_page.parent)).for_dataset(study.DATASET)
    comparable = by_test_texts(analysis.configurations)[0]
    pairs = analysis.comparisons.set_index(["better", "other"])
    places = {name: str(place) for place, name in enumerate(comparable["short_name"])}
    options = page.locator("#compare-a > option").all_inner_texts()
    assert [option.partition(":")[0] for option in options] == [*places]
    assert page.locator("#compare-a optgroup[label='Reduced runs'] option").count() == 1
    for one, other in permutations(comparable.to_dict("records"), 2):
        for select, row in (("#compare-a", one), ("#compare-b", other)):
            label = next(text for text in options if text.startswith(row["short_name"]))
            page.locator(select).select_option(label=label)
        ids = (one["configuration"], other["configuration"])
        sign, pair = (1, pairs.loc[ids]) if ids in pairs.index else (-1, pairs.loc[ids[::-1]])
        text = page.locator("#comparison").inner_text()
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        assert f": {sign * pair['difference']:+.4f}, 95% interval {low:+.4f} to {high:+.4f}." in text
        assert f"The difference is {'' if pair['differs'] else 'not '}significant (" in text
        p = pair["adjusted_p"]
        assert f"p {'< 0.001' if p < 0.001 else f'= {p:.3f}' if p < 0.1 else f'= {p:.2f}'})." in text
        only = [pair["wins"], pair["losses"]][::sign]
        both = one["accuracy"] * one["test_rows"] - only[0]
        counts = [both, *only, one["test_rows"] - both - sum(only)]
        shown = page.locator("#comparison > .box td").all_inner_texts()
        assert [float(count) for count in shown] == [round(count, 1) for count in counts]
        correct = [analysis.results.correct(row["counted"][:1]) for row in (one, other)]
        items = page.locator("#comparison details tbody th").all_text_contents()
        differing = (correct[0] != correct[1])[0]
        assert items == analysis.results.answers_of(one["run"])["item"][differing].tolist()


@pytest.mark.parametrize(
    ("page", "beside"),
    [({"viewport": {"width": 700, "height": 800}}, True), ({"viewport": {"width": 360, "height": 740}}, False)],
    indirect=["page"],
    ids=["tablet", "phone"],
)
def test_the_compared_models_stand_beside_each_other_where_there_is_room(page: Page, beside: bool) -> None:
    (one, other) = (page.locator(f"#compare-{name}").bounding_box() for name in "ab")
    assert one is not None
    assert other is not None
    assert (one["y"] == other["y"], one["x"] < other["x"]) == (beside, beside)
    assert other["x"] + other["width"] <= (700 if beside else 360)


@settings(java_script_enabled=False, viewport={"width": 1280, "height": 800})
def test_without_scripts_links_open_the_runs_and_nothing_can_be_sorted(page: Page) -> None:
    link = page.locator("#table3_accuracy tr", has_text="MiniLM-L6").locator("a").first
    target = link.get_attribute("href")
    link.click()
    expect(page.locator(f"{target} table").first).to_be_visible()
    assert page.locator("#table3_accuracy th button").count() == 0


@settings(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
def test_on_a_phone_the_page_does_not_scroll_sideways(page: Page) -> None:
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("window.innerWidth") == 360
    scrolls = "(e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight)"
    boxes = "[...document.querySelectorAll('.box')]"
    # The browser reports an unfolded element in a later task.
    page.wait_for_function(f"{boxes}.every((e) => {scrolls} === (e.tabIndex === 0))")
    assert page.evaluate(f"new Set({boxes}.map((e) => {scrolls})).size") == 2


@settings(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
def test_on_a_phone_the_name_stays_while_a_table_scrolls(page: Page) -> None:
    box = page.locator(".box", has=page.locator("#table3_accuracy"))
    box.evaluate("(element) => { element.scrollLeft = 300 }")
    name = page.locator("#table3_accuracy tbody th").first.bounding_box()
    assert name is not None
    assert 0 <= name["x"] < name["x"] + name["width"] <= 160


@settings(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
def test_on_a_phone_model_and_accuracy_are_visible_and_figures_say_that_they_scroll(page: Page) -> None:
    unfold(page)
    for table in ("#table3_accuracy", "#leaderboard_synthetic"):
        for cell in page.locator(f"{table} tbody tr:first-child > :nth-child(-n+2)").all():
            box = cell.bounding_box()
            assert box is not None
            assert 0 <= box["x"] < box["x"] + box["width"] <= 360
    assert all(cue.is_visible() for cue in page.locator("figure .cue").all())
    for name in ("accuracy", "frontier", "pairwise", "scaling_synthetic", "data_sets", "calibration"):
        assert not page.locator(f"#figure-{name} .wide").is_visible()
        drawn = page.locator(f"#figure-{name} .narrow svg")
        box = drawn.bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= 360
        sizes = drawn.locator("text").evaluate_all(
            """(all) => all.map((text) => {
              const shown = text.getScreenCTM();
              return Math.hypot(shown.a, shown.b) * parseFloat(getComputedStyle(text).fontSize);
            })"""
        )
        assert min(sizes) >= 9


@pytest.mark.parametrize(
    "page",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    ],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_axe_finds_no_violation(page: Page) -> None:
    unfold(page)
    found = Axe().run(page)
    violations = [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found.response["violations"]
    ]
    assert violations == []
    assert len(found.response["passes"]) > 20


@pytest.mark.parametrize(
    ("page", "paper", "ink"),
    [({"color_scheme": "dark"}, (0, 60), (180, 255)), ({"color_scheme": "light"}, (240, 255), (0, 60))],
    indirect=["page"],
    ids=["dark", "light"],
)
def test_figures_follow_the_colour_scheme(page: Page, paper: tuple[int, int], ink: tuple[int, int]) -> None:
    screenshot = page.locator("#figure-accuracy .wide svg").screenshot()
    grey = np.asarray(Image.open(io.BytesIO(screenshot)).convert("L"))
    assert paper[0] <= np.median(grey) <= paper[1]
    assert ink[0] <= (grey.min() if paper[0] else grey.max()) <= ink[1]
    texts = page.locator("figure svg[version] text").evaluate_all(
        "(all) => all.map((text) => getComputedStyle(text).fill)"
    )
    levels = {int(level) for text in texts for level in re.findall(r"\d+", text)}
    assert (min(levels) > 150) if ink[1] == 255 else (0 < min(levels) <= max(levels) < 110)


@settings(color_scheme="dark", viewport={"width": 1000, "height": 800})
def test_print_is_white_in_dark_mode(page: Page) -> None:
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    fills = [
        one.evaluate("(text) => getComputedStyle(text).fill") for one in page.locator("#figure-accuracy svg text").all()
    ]
    assert set(fills) == {"rgb(34, 34, 34)", "rgb(102, 102, 102)"}
    assert not page.locator("nav").is_visible()
    assert page.locator("#table3_accuracy").is_visible()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_the_first_tab_stop_is_a_visible_link_to_the_results(page: Page) -> None:
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("(element) => element === document.activeElement")
    box = skip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert skip.evaluate("(element) => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_a_page_of_200_runs_stays_small(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FIGURES", {"accuracy": FIGURES["accuracy"]})
    fit = replace(FIT, curve=CURVE)
    for number in range(40):
        for seed in range(5):
            record = a_record("minilm", f"recipe.learning_rate=0.{number + 1:04d}", seed=seed, fit=fit)
            if (number, seed) == (0, 0):
                record = replace(record, status=Status.failed, fit=None, failure=Failure("no.", "Traceback\n" * 50))
            publish(tmp_path, record, np.roll(GOLD, seed % 2).tolist())
    report.build(report.Report(read_results(tmp_path)), tmp_path)
    file = tmp_path / report.PAGE
    assert file.stat().st_size < 2_000_000
    context = browser.new_context()
    page = context.new_page()
    page.goto(file.as_uri())
    elements = page.locator("*").count()
    blocks = page.locator("details.configuration").count()
    context.close()
    assert blocks == 40
    assert elements < 25_000
