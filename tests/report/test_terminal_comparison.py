import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from answer_files import GOLD, PREDICTED, every_format, label_rows, write_csv
from factories import a_record, publish_many, wrong_at
from scipy.stats import binomtest

from benchmark import compare
from benchmark.analysis.compared_models import ComparedModels, read_models
from benchmark.analysis.inference import detectable_difference, holm
from benchmark.errors import BenchmarkError
from benchmark.report.terminal_comparison import comparison_text, model_rows, pair_rows, stated_rows, write_items

ITEMS = 400
LABELS = ["calm", "glad", "tense", "glad"] * (ITEMS // 4)
WRONG = {"best": range(20), "middle": range(10, 50), "last": range(40, 160)}


@pytest.fixture
def compared(tmp_path: Path) -> ComparedModels:
    """Three models of 400 items."""
    files = []
    for name, wrong in WRONG.items():
        predicted = ["none" if item in wrong else label for item, label in enumerate(LABELS)]
        files.append(str(write_csv(tmp_path / f"{name}.csv", label_rows(predicted, LABELS))))
    return read_models(files, {})


def test_p_values_are_those_of_scipy(compared: ComparedModels) -> None:
    table = pair_rows(compared)
    discordant = [(30, 10), (120, 20), (110, 30)]  # counted from WRONG
    assert list(zip(table["wins"], table["losses"], strict=True)) == discordant
    expected = [binomtest(wins, wins + losses).pvalue for wins, losses in discordant]
    assert list(table["p"]) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert list(table["adjusted_p"]) == pytest.approx(holm(expected), rel=1e-12, abs=1e-12)


def test_every_pair_has_its_counts_and_its_detectable_difference(compared: ComparedModels) -> None:
    table = pair_rows(compared)
    assert list(table["pair"]) == ["1 - 2", "1 - 3", "2 - 3"]
    assert list(zip(table["both"], table["neither"], strict=True)) == [(350, 10), (260, 0), (250, 10)]
    assert list(table["difference"]) == pytest.approx([0.05, 0.25, 0.2])
    assert list(table["verdict"]) == ["differ", "differ", "differ"]
    assert table["detectable"][0] == detectable_difference(ITEMS, 40 / ITEMS, alpha=0.05 / 3)


def test_models_have_intervals_and_letters(compared: ComparedModels) -> None:
    table = model_rows(compared, pair_rows(compared))
    assert list(table["name"]) == ["best", "middle", "last"]
    assert list(table["accuracy"]) == [0.95, 0.9, 0.7]
    assert list(table["group"]) == ["a", "b", "c"]
    assert (table["low"][1], table["high"][1]) == pytest.approx((0.866689, 0.925701), abs=1e-6)


@pytest.mark.parametrize(
    ("value", "name", "counts"),
    [("study=0.9262", "study", "none of 2,000"), ("0.93", "-", "1,850 to 1,870 of 2,000"), ("a=1", "a", "1,000")],
)
def test_a_stated_accuracy_is_counted_with_its_decimals(value: str, name: str, counts: str) -> None:
    (row,) = stated_rows([value], 2000).to_dict("records")
    assert row["name"] == name
    assert row["counts"].startswith(counts)


@pytest.mark.parametrize("value", ["92.6", "a=", "a=-0.1", "nan", "a=1.5"])
def test_what_is_no_accuracy_is_refused(value: str) -> None:
    with pytest.raises(BenchmarkError) as refused:
        stated_rows([value], 2000)
    assert value in refused.value.problem


def test_the_items_that_differ_are_written(tmp_path: Path) -> None:
    files = every_format(tmp_path)
    better = write_csv(tmp_path / "better.csv", label_rows(GOLD))
    compared = read_models([str(files["csv"]), f"good={better}"], {})
    assert write_items(compared, tmp_path / "items.csv") == 3
    table = pd.read_csv(tmp_path / "items.csv")
    assert list(table["id"]) == ["row-2", "row-4", "row-5"]
    assert list(table["gold"]) == list(table["good: predicted"]) == ["tense", "calm", "glad"]
    assert list(table["mine: predicted"]) == ["calm", "tense", "calm"]
    assert (list(table["good: right"]), list(table["mine: right"])) == ([1, 1, 1], [0, 0, 0])


@pytest.mark.parametrize("name", ["mine.csv", "folder", "mine.csv/items.csv"])
def test_only_a_list_of_items_is_replaced(tmp_path: Path, name: str) -> None:
    path, better = (write_csv(tmp_path / f"{n}.csv", label_rows(p)) for n, p in (("mine", PREDICTED), ("b", GOLD)))
    (tmp_path / "folder").mkdir()
    before, compared = path.read_bytes(), read_models([str(path), str(better)], {})
    with pytest.raises(BenchmarkError) as refused:
        write_items(compared, tmp_path / name)
    assert str(tmp_path / name) in refused.value.problem
    assert path.read_bytes() == before
    counts = [
        write_items(given, tmp_path / "items.csv") for given in (compared, read_models([str(path)], {}), compared)
    ]
    assert counts == [3, 0, 3]


def test_an_unreadable_list_is_refused_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = read_models([str(write_csv(tmp_path / "mine.csv", label_rows()))], {})
    (tmp_path / "items.csv").touch()

    def refuse(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BenchmarkError, match=r"items\.csv cannot be written \(Permission denied\)"):
        write_items(compared, tmp_path / "items.csv")


def test_a_spreadsheet_reads_no_text_of_an_item_as_a_formula(tmp_path: Path) -> None:
    rows = [{"id": "1", "text": "=1+1", "gold": "glad"}, {"id": "2", "text": "plain", "gold": "calm"}]
    files = [
        str(write_csv(tmp_path / f"{label}.csv", [row | {"predicted": label} for row in rows]))
        for label in ("glad", "calm")
    ]
    write_items(read_models(files, {}), tmp_path / "items.csv")
    assert list(pd.read_csv(tmp_path / "items.csv")["text"]) == ["'=1+1", "plain"]


def test_one_file_has_an_accuracy_and_no_pairs(tmp_path: Path) -> None:
    shown = comparison_text(read_models([str(write_csv(tmp_path / "mine.csv", label_rows()))], {}))
    assert "0.1876 to 0.8124" in shown
    assert "Pair" not in shown


def test_the_output_fits_a_terminal(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record(name, seed=seed), wrong_at(range(wrong)))
            for name, wrong in (("minilm", 12), ("tfidf", 60), ("llama3_lora", 25)) for seed in (0, 1)]  # fmt: skip
    shown = comparison_text(read_models([str(run.folder) for run in runs], {}), ["study=0.9262"])
    assert max(map(len, shown.splitlines())) <= 80
    assert "200 items, matched by id (test-#)" in shown


Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["compare", *arguments])
        try:
            compare.main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
        return 0

    return run


def test_the_command_compares_every_format_with_every_other(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"{name}={path}" for name, path in every_format(tmp_path).items()]
    assert command(*files) == 0
    out = capsys.readouterr().out
    assert "6 items, matched by order, with equal gold labels" in out
    assert out.count("not significant") == 21
    assert out.count("0.5000") == 7


def test_exit_codes_tell_usage_from_refusal(tmp_path: Path, command: Command) -> None:
    assert command() == 2
    assert command("--unknown", "a.csv") == 2
    assert command(str(tmp_path / "absent.csv")) == 1


def test_comparing_imports_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    files = [str(path) for path in every_format(tmp_path).values()]
    program = (
        "import sys; from benchmark.compare import main; main();"
        "print('imported', *sorted({'torch', 'transformers', 'datasets', 'peft', 'hydra'} & set(sys.modules)))"
    )
    root = Path(compare.__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", program, *files], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("\nimported\n")
