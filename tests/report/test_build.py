import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from factories import FIT, a_record, analysis_of, files_below, publish

from benchmark.analysis.frame import read_results
from benchmark.errors import BenchmarkError
from benchmark.interface import ModelCard
from benchmark.report import __main__ as report_command
from benchmark.report import build as report
from benchmark.report.build import BEGIN, END, Report
from benchmark.report.figures import FIGURES
from benchmark.report.results_page import MOST_ROWS, results_pages
from benchmark.report.tables import ALWAYS_SHOWN, TABLES, all_tables
from benchmark.report.wording import heading_anchor
from benchmark.results.record import Failure, Status

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
BEFORE = "# Title\n\ttabs,  spaces  \n<!-- results -->\n| a | table |\n"
AFTER = "\n## More\nnaïve — 雪 " + "\n\nno line end"
README = f"{BEFORE}{BEGIN}\nwhatever was here\n{END}{AFTER}"


def built(folder: Path, results: Path) -> None:
    made = Report(read_results(results))
    report.build(made, results)
    report.write_documents(made, folder / "README.md")


@pytest.fixture(scope="module", autouse=True)
def one_figure() -> Iterator[None]:
    """All four take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "FIGURES", {"accuracy": FIGURES["accuracy"]})
        yield


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    results = folder / "results"
    for seed, predicted in enumerate((ONE_WRONG, ONE_WRONG[::-1])):
        publish(results, a_record("tfidf", seed=seed), predicted)
    publish(results, a_record("bert_base"), ONE_WRONG)
    publish(results, a_record("minilm", status=Status.failed, failure=Failure("a | b\nsecond line.")))
    publish(results, a_record("majority", dataset="synthetic"), [1] * 10)
    (folder / "README.md").write_text(README, encoding="utf-8")
    built(folder, results)
    return folder


@pytest.fixture
def project(once: Path, tmp_path: Path) -> Path:
    """A project whose report is up to date: results/ and README.md."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path


Command = Callable[..., int]


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`python -m benchmark.report` in the project's folder; its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "argv", ["report", *arguments])
        try:
            report_command.main()
        except SystemExit as exit_:
            if isinstance(exit_.code, str):  # as the interpreter does
                sys.stderr.write(exit_.code)
                return 1
            return exit_.code or 0
        return 0

    return run


def stale(project: Path) -> list[str]:
    names = report.out_of_date(project / "results", project / "README.md")
    return [str(Path(name).relative_to(project)) for name in names]


def test_tables_are_written_as_markdown_csv_and_latex_and_figures_as_svg_and_png(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FIGURES", FIGURES)
    made = Report(read_results(project / "results"))
    report.build(made, project / "results")
    tables = {table.name for table in made.tables}
    assert {*ALWAYS_SHOWN, "leaderboard_emotion", "leaderboard_synthetic", "per_class_synthetic"} <= tables
    assert files_below(project / "results/tables") == {
        f"{name}.{suffix}" for name in tables for suffix in ("md", "csv", "tex")
    }
    figures = {*FIGURES, "accuracy_synthetic"} - {"learning_curve", "scaling", "frontier", "pairwise", "data_sets"}
    assert files_below(project / "results/figures") == {
        f"{name}.{suffix}" for name in figures for suffix in ("svg", "png")
    }
    assert (project / "results/figures/accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert (project / "results/figures/accuracy.svg").read_bytes().startswith(b"<?xml")


def test_a_model_that_states_only_the_required_fields_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FIGURES", FIGURES)
    for kind in ("encoder", "decoder"):
        for name in ("mine", "yours"):
            record = a_record("minilm", f"model.name={name}_{kind}", fit=replace(FIT, parameters=None, curve=()))
            publish(tmp_path / "results", replace(record, card=ModelCard("new", "new", kind=kind)), ONE_WRONG)
    publish(tmp_path / "results", a_record("minilm"))
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    built(tmp_path, tmp_path / "results")
    assert "mine_decoder" in (tmp_path / "results/report.html").read_text(encoding="utf-8")


def test_a_csv_holds_numbers_and_the_markdown_what_people_read(project: Path) -> None:
    table3 = pd.read_csv(project / "results/tables/table3_accuracy.csv").set_index("name")
    assert table3.loc["bert_base", ["study", "accuracy", "training_seconds"]].tolist() == [0.9063, 0.9, 90.0]
    assert pd.isna(table3.loc["bert_base", "spread"])
    rows = cells(project / "results/tables/table3_accuracy.md")
    assert {"0.9063", "0.9000", "-", "0.5958 to 0.9821", "1.5 min", "measured"} <= rows["BERT base"]
    models = cells(project / "results/tables/table1_models.md")
    assert {"8,030,261,248", "20,971,520", "8,192", "yes"} <= models["Llama 3 8B Instruct LoRA"]


def cells(table: Path) -> dict[str, set[str]]:
    """The cells of each row, by each of the row's cells."""
    rows = [{cell.strip() for cell in line.split("|")} for line in table.read_text(encoding="utf-8").splitlines()]
    return {cell: row for row in rows for cell in row}


def test_a_failures_message_stays_within_its_cell(project: Path) -> None:
    rows = (project / "results/tables/leaderboard_emotion.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2 + 3
    assert "no result: failed, a &#124; b second line" in rows[-1]


def test_what_was_edited_by_hand_is_out_of_date(project: Path) -> None:
    for name in ("tables/table1_models.md", "tables/leaderboard_emotion.csv", "figures/accuracy.svg"):
        file = project / "results" / name
        content = bytearray(file.read_bytes())
        content[-2] ^= 1
        file.write_bytes(content)
    (project / "results/figures/accuracy.png").unlink()
    (project / "results/tables/table3_accuracy_old.md").write_text("| invented |\n")
    readme = project / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("0.9063", "0.9163"), encoding="utf-8")
    assert stale(project) == [
        "results/figures/accuracy.png",
        "results/figures/accuracy.svg",
        "results/tables/leaderboard_emotion.csv",
        "results/tables/table1_models.md",
        "results/tables/table3_accuracy_old.md",
        "README.md",
    ]


def test_what_a_new_record_changes_is_out_of_date_until_the_next_build(project: Path) -> None:
    publish(project / "results", a_record("roberta_base"), ONE_WRONG)
    changed = stale(project)
    assert {"results/figures/accuracy.svg", "README.md"} <= set(changed)
    for table in ("leaderboard_emotion", "table2_settings", "table3_accuracy"):
        assert {f"results/tables/{table}.csv", f"results/tables/{table}.md"} <= set(changed)
    assert not [name for name in changed if "synthetic" in name or "table1" in name]
    built(project, project / "results")
    assert stale(project) == []


def test_what_no_record_supports_any_more_goes_with_the_next_report(project: Path, command: Command) -> None:
    shutil.rmtree(project / "results/runs/majority")
    assert command() == 0
    assert not (project / "results/tables/leaderboard_synthetic.md").exists()
    assert stale(project) == []


def test_files_of_the_user_beside_tables_and_figures_stay(project: Path, command: Command) -> None:
    for name in ("tables/my_notes.csv", "tables/per_class_notes.txt", "figures/table3_accuracy.svg"):
        (project / "results" / name).write_text("mine")
    (project / "results/tables/pairwise_old.md").mkdir()
    (project / "results/figures/accuracy_old.svg").write_text("of an earlier report")
    assert stale(project) == ["results/figures/accuracy_old.svg"]
    before = files_below(project)
    assert command("--readme", "README.md") == 0
    assert before - files_below(project) == {"results/figures/accuracy_old.svg"}
    assert (project / "results/tables/pairwise_old.md").is_dir()


def test_every_shipped_table_and_figure_goes_if_no_record_supports_it(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FIGURES", FIGURES)
    for folder in ("tables", "figures"):
        shutil.copytree(shipped / "results" / folder, tmp_path / folder)
    report.remove_others(tmp_path, set())
    assert files_below(tmp_path) == set()


def test_the_readme_keeps_what_surrounds_the_section(project: Path) -> None:
    content = (project / "README.md").read_text(encoding="utf-8")
    assert content.startswith(BEFORE + BEGIN)
    assert content.endswith(END + AFTER)
    section = content.removeprefix(BEFORE + BEGIN).removesuffix(END + AFTER)
    assert section == f"\n\n{Report(read_results(project / 'results')).readme_section()}\n\n"
    assert "whatever was here" not in content


def test_windows_line_ends_around_the_section_stay(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(f"before\r\n{BEGIN}\r\n{END}\r\nafter\r\n".encode())
    content = report.with_section(readme, "results")
    assert content.startswith(b"before\r\n")
    assert content.endswith(b"\r\nafter\r\n")


def pages_of(project: Path) -> dict[str, str]:
    return Report(read_results(project / "results")).results_pages()


def test_the_readme_shows_the_overview_and_the_pages_of_results_every_table(project: Path) -> None:
    (project / "docs").mkdir()
    made = Report(read_results(project / "results"))
    report.write_documents(made, project / "README.md")
    overview = (project / "results/tables/overview.md").read_text(encoding="utf-8").partition("\n\n")[0]
    assert overview in (project / "README.md").read_text(encoding="utf-8")
    pages = {place: (project / "docs" / place).read_text(encoding="utf-8") for place in made.results_pages()}
    for table, data in made.tables.items():
        assert data.empty or table.name == "overview" or table.markdown(data) in "".join(pages.values())
    assert "](../results/figures/accuracy.svg)" in pages["results.md"]
    assert "](../../results/figures/accuracy_synthetic.svg)" in pages["results/synthetic.md"]


def test_each_other_data_set_has_a_page_with_its_findings_and_tables(project: Path) -> None:
    pages = pages_of(project)
    synthetic = [table for table in Report(read_results(project / "results")).tables if table.dataset == "synthetic"]
    assert {f"### {table.title}" for table in synthetic} >= set(
        re.findall("^### .+$", pages["results/synthetic.md"], flags=re.MULTILINE)
    )
    assert "- The most accurate model tested on synthetic, " in pages["results/synthetic.md"]
    assert "on synthetic" not in pages["results.md"]


def test_the_contents_of_the_pages_of_results_lead_to_headings_and_pages(project: Path) -> None:
    pages = pages_of(project)
    assert "accuracy-of-every-model" in pages["results.md"]
    assert set(re.findall(r"\]\((results/[^)]+)\)", pages["results.md"])) == set(pages) - {"results.md"}
    for page in pages.values():
        linked = set(re.findall(r"\]\(#([^)]+)\)", page.partition("## Contents")[2].partition("\n## ")[0]))
        headings = {heading_anchor(heading) for heading in re.findall(r"^#{2,3} (.+)$", page, flags=re.MULTILINE)}
        assert linked
        assert linked <= headings


def test_a_page_of_results_cuts_a_long_table_and_says_where_all_of_it_is() -> None:
    nothing, table = analysis_of(), TABLES["hard_items"]
    data = pd.DataFrame([dict.fromkeys(table.data(nothing), row) for row in range(MOST_ROWS + 2)])
    pages = results_pages(nothing, all_tables(nothing) | {replace(table, dataset="emotion"): data}, [])
    page = pages["results/emotion-errors.md"]
    assert table.markdown(data.head(MOST_ROWS)) in page
    assert f"The other 2 rows are in `results/tables/{table.name}.csv`." in page
    assert table.markdown(data) not in page


def test_the_pages_of_results_are_checked_as_the_readme_is_and_old_ones_go(project: Path) -> None:
    (project / "docs").mkdir()
    assert stale(project) == [f"docs/{place}" for place in pages_of(project)]
    report.write_documents(Report(read_results(project / "results")), project / "README.md")
    assert stale(project) == []
    page = project / "docs/results.md"
    page.write_text(page.read_text(encoding="utf-8").replace("0.9", "0.8"), encoding="utf-8")
    (project / "docs/results/synthetic.md").rename(project / "docs/results/old.md")
    assert stale(project) == ["docs/results.md", "docs/results/synthetic.md", "docs/results/old.md"]
    report.write_documents(Report(read_results(project / "results")), project / "README.md")
    assert stale(project) == []


@pytest.mark.parametrize("name", ["results.md", "results/synthetic.md"])
def test_a_document_of_the_user_is_not_overwritten(name: str, project: Path, command: Command) -> None:
    docs = project / "docs"
    (docs / "results").mkdir(parents=True)
    (docs / "results/mine.md").write_text("mine")
    (docs / name).write_text("mine")
    before = (project / "README.md").read_bytes()
    assert f"docs/{name}" in stale(project)
    assert command("--readme", "README.md") == 1
    assert files_below(docs) == {name, "results/mine.md"}
    assert (project / "README.md").read_bytes() == before
    (docs / name).unlink()
    assert command("--readme", "README.md") == 0
    assert (docs / "results/mine.md").read_text() == "mine"


@pytest.mark.parametrize(
    "content",
    ["", "no marker\n", f"only {BEGIN}\n", f"only {END}\n", f"{END}\nin the wrong order\n{BEGIN}\n"],
)
def test_a_readme_without_its_two_markers_is_an_error_that_shows_them(content: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(content)
    with pytest.raises(BenchmarkError) as error:
        report.with_section(readme, "results")
    assert all(words in str(error.value) for words in (str(readme), BEGIN, END))
    assert readme.read_text() == content
    assert files_below(tmp_path) == {"README.md"}


def test_check_says_what_is_out_of_date_and_writes_nothing(
    project: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--check") == 0
    assert capsys.readouterr().out == ""
    (project / "results/tables/table1_models.md").write_text("edited\n")
    before = {name: (project / name).read_bytes() for name in files_below(project)}
    assert command("--check") == 1
    assert capsys.readouterr().out == "out of date: results/tables/table1_models.md\n"
    assert {name: (project / name).read_bytes() for name in files_below(project)} == before


def test_a_report_says_where_it_was_written(
    project: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("tables", "figures"):
        shutil.rmtree(project / "results" / folder)
    shutil.move(project / "results", project / "elsewhere")
    shutil.move(project / "README.md", project / "OTHER.md")
    assert command("--results-dir", "elsewhere", "--readme", "OTHER.md") == 0
    assert capsys.readouterr().out == "5 runs -> elsewhere/report.html, elsewhere/tables, elsewhere/figures, OTHER.md\n"
    assert not (project / "results").exists()
    assert {f"{name}.csv" for name in ALWAYS_SHOWN} <= files_below(project / "elsewhere/tables")


@pytest.mark.parametrize("arguments", [(), ("--check",)])
@pytest.mark.parametrize("broken", ["README.md", "record.json"])
def test_what_cannot_be_read_ends_with_one_sentence_and_exit_code_1(
    arguments: tuple[str, ...],
    broken: str,
    project: Path,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = project / broken if broken == "README.md" else next((project / "results/runs/tfidf").rglob(broken))
    file.unlink()
    if broken == "record.json":
        file.write_text("{")
    assert command("--readme", "README.md", *arguments) == 1
    said = capsys.readouterr().err
    assert broken in said
    assert "Traceback" not in said


def test_a_broken_record_does_not_hide_the_end_of_a_run(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = next((project / "results/runs/tfidf").rglob("record.json"))
    record.write_text("{")
    report.refresh(project / "results")
    assert str(record) in caplog.text


def test_a_refresh_rebuilds_tables_and_figures_and_leaves_the_readme(project: Path) -> None:
    publish(project / "results", replace(a_record("roberta_base"), overrides=[]), ONE_WRONG)
    report.refresh(project / "results")
    assert stale(project) == ["README.md"]


def test_a_refresh_rebuilds_nothing_until_an_input_changes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = project / "results"
    table = results / "tables/table3_accuracy.md"
    report.refresh(results)
    table.write_text("kept")
    report.refresh(results)
    assert table.read_text() == "kept"
    run = publish(results, a_record("roberta_base"), ONE_WRONG)
    report.refresh(results)
    assert "0.9" in table.read_text()
    table.write_text("kept")
    shutil.rmtree(run.folder)
    report.refresh(results)
    assert table.read_text() != "kept"
    table.write_text("kept")
    (results / "shared_times.txt").write_text("# none\n")
    report.refresh(results)
    assert table.read_text() != "kept"
    table.write_text("kept")
    prices = shutil.copy(report.prices.FILE, project / "prices.yaml")
    monkeypatch.setattr(report.prices, "FILE", Path(prices))
    Path(prices).touch()
    report.refresh(results)
    assert table.read_text() != "kept"


def test_a_report_imports_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys, benchmark.report;"
        "print(*sorted({'torch', 'transformers', 'datasets', 'peft', 'hydra', 'omegaconf'} & set(sys.modules)))"
    )
    root = Path(report.__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


def test_a_folder_without_runs_changes_nothing(
    project: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (project / name).read_bytes() for name in files_below(project)}
    assert command("--results-dir", "mistyped") == 1
    assert "mistyped holds no runs" in capsys.readouterr().err
    assert {name: (project / name).read_bytes() for name in files_below(project)} == before


def test_a_report_outside_a_checkout_leaves_the_users_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path / "results", a_record("minilm"))
    (tmp_path / "README.md").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report", "results_dir=results"])
    report_command.main()
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "results/report.html").is_file()


def test_the_readme_is_not_written_from_another_folder(project: Path, command: Command) -> None:
    shutil.move(project / "results", project / "elsewhere")
    shutil.rmtree(next((project / "elsewhere/runs").iterdir()))
    before = (project / "README.md").read_bytes()
    assert command("--results-dir", "elsewhere") == 0
    assert (project / "README.md").read_bytes() == before


@pytest.mark.parametrize("limited", [True, False])
def test_the_page_of_own_data_says_what_was_measured(tmp_path: Path, limited: bool) -> None:
    trial = ["dataset.train_rows=10"] if limited else []
    publish(tmp_path, a_record("minilm", *trial, dataset="mine", test_sha256="d" * 64), ONE_WRONG)
    answer = Report(read_results(tmp_path)).page().partition("<nav")[0]
    assert ("No run on mine has a result yet" in answer) == limited
    assert ("0.9000 on 10 test texts" in answer) != limited
    assert "Nothing has been measured" not in answer
