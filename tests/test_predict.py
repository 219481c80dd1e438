"""`python -m benchmark.predict`: formats, streams, messages and exit codes."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories import LABELS, SMALL, folders_in, variables

from benchmark.configuration.compose import compose
from benchmark.files import read_all_rows
from benchmark.predict import BATCH, load, main
from benchmark.run import runner

TEXTS = ("i feel calm", "i am so angry, really", "", "what a day")
COMMAND = [sys.executable, "-m", "benchmark.predict"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a kept TF-IDF model."""
    folder = tmp_path_factory.mktemp("kept")
    runner.run(compose([*SMALL, "model=tfidf", f"models_dir={folder}/models", *folders_in(folder)[:2]]))
    (record,) = (folder / "models").rglob("record.json")
    return record.parent


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    error: str


Predict = Callable[..., Ended]


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Runs the command in this process, with standard input `text`."""

    def run(*arguments: object, text: str | bytes = "") -> Ended:
        content = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code: int | str | None = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        captured = capsys.readouterr()
        if isinstance(code, str):  # which Python prints
            return Ended(1, captured.out, f"{captured.err}{code}\n")
        return Ended(code or 0, captured.out, captured.err)

    return run


def rows(content: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content, newline="")))


@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl", "-"])
def test_every_format_gets_the_answers_of_the_python_function(
    kind: str, kept: Path, tmp_path: Path, predict: Predict
) -> None:
    content = {
        "txt": "\r\n".join(TEXTS) + "\n",
        "-": "\n".join(TEXTS),
        "csv": "id,text\n" + "".join(f'{row},"{text}"\n' for row, text in enumerate(TEXTS)),
        "jsonl": "\n\n".join(json.dumps({"id": row, "text": text}) for row, text in enumerate(TEXTS)),
    }[kind]
    if kind != "-":
        (tmp_path / f"texts.{kind}").write_text(content, newline="")
    file = "-" if kind == "-" else tmp_path / f"texts.{kind}"
    done = predict(kept, file, text=content if kind == "-" else "")
    answers = load(kept).predict(TEXTS)
    assert done.code == 0, done.error
    found = rows(done.output)
    assert [row["text"] for row in found] == list(TEXTS)
    assert [row["predicted"] for row in found] == [answer.label or "" for answer in answers]
    assert answers[2].label is None
    for row, answer in zip(found, answers, strict=True):
        assert row["probability"] == "" or float(row["probability"]) == pytest.approx(answer.probability, rel=1e-6)
    assert "3 texts labelled; 1 empty" in done.error
    if kind in ("csv", "jsonl"):
        assert [row["id"] for row in found] == ["0", "1", "2", "3"]


def test_a_csv_with_a_carriage_return_in_a_text_is_read_back(kept: Path, tmp_path: Path, predict: Predict) -> None:
    output = tmp_path / "out.csv"
    assert predict(kept, "--format", "jsonl", "--output", output, text=json.dumps({"text": "gut\rso"})).code == 0
    (row,) = read_all_rows(output)
    assert row.values["text"] == "gut\rso"


def test_an_output_file_holds_rows_as_json_with_all_their_values(kept: Path, tmp_path: Path, predict: Predict) -> None:
    given = [{"note": [1, None], "words": "gut"}, {"words": "sehr schön"}]
    content = "\n".join(json.dumps(row) for row in given)
    options = ["--format", "jsonl", "--text-column", "words", "--output", tmp_path / "out.jsonl"]
    done = predict(kept, *options, text=content)
    assert (done.code, done.output) == (0, "")
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [{key: row[key] for key in one} for row, one in zip(written, given, strict=True)] == given
    assert {row["predicted"] for row in written} <= set(LABELS)


@pytest.mark.parametrize(
    ("name", "content", "header"),
    [
        ("texts.csv", "id,text\n", "id,text"),
        ("texts.tsv", "id\ttext\n", "id,text"),
        ("texts.txt", "", "text"),
    ],
)
@pytest.mark.parametrize("to_file", [True, False])
def test_without_rows_the_output_is_the_header(
    name: str, content: str, header: str, to_file: bool, kept: Path, tmp_path: Path, predict: Predict
) -> None:
    (tmp_path / name).write_text(content)
    output = tmp_path / "labelled.csv"
    done = predict(kept, tmp_path / name, *(["--output", output] if to_file else []))
    assert done.code == 0
    assert (output.read_text() if to_file else done.output) == f"{header},predicted,probability\n"
    assert done.error.startswith("0 texts labelled")


@pytest.mark.parametrize(
    ("header", "column", "problem"),
    [
        ("id,words", "text", "there is no column 'text'"),
        ("text,predicted", "text", "the column 'predicted' is one that"),
    ],
)
def test_a_wrong_header_is_refused_also_without_rows(
    header: str, column: str, problem: str, kept: Path, tmp_path: Path, predict: Predict
) -> None:
    (tmp_path / "texts.csv").write_text(f"{header}\n")
    done = predict(kept, tmp_path / "texts.csv", "--text-column", column)
    assert (done.code, done.output) == (1, "")
    assert f"texts.csv, header: {problem}" in done.error


def test_output_begins_before_the_input_ends(kept: Path) -> None:
    command = subprocess.Popen([*COMMAND, str(kept)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables())
    assert command.stdin is not None
    assert command.stdout is not None
    command.stdin.write(b"i feel well\n" * BATCH)
    command.stdin.flush()
    assert command.stdout.readline() == b"text,predicted,probability\n"
    assert command.stdout.readline().startswith(b"i feel well,")
    command.communicate()
    assert command.returncode == 0


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (b"good\nb\xffd\n", [], "standard input, row 2"),
        (b"good\nb\x00d\n", [], "standard input, row 2"),
        (b"one\rtwo\n", [], "standard input, row 1"),
        (b"a day; not joy\ni feel good;joy\n", [], "standard input, row 2"),
        (b"id,words\n1,a\n", ["--format", "csv"], "--text-column"),
        (b"id;text\n1;a\n", ["--format", "csv"], "Separate the columns by commas"),
        (b"text,text\n1,a\n", ["--format", "csv"], "standard input, header"),
        (b"text\na,b\n", ["--format", "csv"], "standard input, row 2"),
        (b"text,predicted\na,b\n", ["--format", "csv"], "'predicted'"),
        (b'{"text": "a"}\n{"text": 3}\n', ["--format", "jsonl"], "standard input, row 2"),
        (b'{"text": "\\ud800"}\n', ["--format", "jsonl"], "standard input, row 1"),
        (b'{"text": "a", "by": [{"\\ud83d": 1}]}\n', ["--format", "jsonl"], "standard input, row 1: a value contains"),
        (b'{"text": "a"\n', ["--format", "jsonl"], "standard input, row 1"),
        (b'{"text": "a"}\n{"text": "b", "c": 1}\n', ["--format", "jsonl"], "--output FILE.jsonl"),
        (b"a\n", ["absent.txt"], "absent.txt"),
        (b"a\n", ["texts.xlsx", "--format", "txt"], "texts.xlsx"),
        (b"a\n", ["--output", "out.parquet"], "out.parquet"),
        (b"a\n", ["model.train=true"], "model.train=true"),
        (b"a\n", ["--merge", "merged"], "no adapter"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_code_1(
    content: bytes, options: list[str], expected: str, kept: Path, predict: Predict
) -> None:
    done = predict(kept, *options, text=content)
    lines = done.error.splitlines()
    assert (done.code, len(lines)) == (1, 1)
    assert expected in lines[0]


def test_a_command_line_that_is_not_understood_has_exit_code_2(kept: Path, predict: Predict) -> None:
    for arguments in ([], [kept, "a.txt", "b.txt"], [kept, "--format", "xml"]):
        assert predict(*arguments).code == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--merge", "merged", "--output", "out.csv"], ["--output", "FILE"]),
        (["--merge", "merged", "--format", "csv", "model.device=cpu"], ["--format", "FILE"]),
        (["--merge", "merged", "--text-column", "words"], ["--text-column", "FILE"]),
        (["--text-column", "words"], ["--text-column", "--format"]),
        (["texts.txt", "--text-column", "text"], ["--text-column", "--format"]),
        (["--merge", "merged", "-", "--text-column", "words"], ["--text-column", "--format"]),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    options: list[str], named: list[str], kept: Path, predict: Predict
) -> None:
    done = predict(kept, *options, text="i feel well\n")
    assert (done.code, done.output) == (2, "")
    assert all(word in done.error.splitlines()[-1] for word in named)


def test_a_reader_that_stops_ends_the_command_quietly(kept: Path) -> None:
    done = subprocess.run(
        f"yes 'i feel well' | head -n 20000 | {' '.join(COMMAND)} {kept} | head -n 1",
        shell=True, env=variables(), capture_output=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"text,predicted,probability\n", b"")
