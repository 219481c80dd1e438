"""The terminal shows a command's runs, the best others, and what was written, in the width that there is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from factories import a_record, publish, publish_many, wrong_at

from benchmark.report.terminal_leaderboard import OTHERS, show_runs
from benchmark.results.record import Failure, Status

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
SHIPPED = ("tfidf", "bert_base", "bert_large", "roberta_base", "roberta_large", "smollm2_lora", "smollm2_head")


def test_the_runs_of_the_command_come_first_then_the_best_others_then_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish_many(tmp_path, a_record("minilm"), wrong_at(range(100)))
    for wrong, model in enumerate(SHIPPED):
        publish_many(tmp_path, a_record(model), wrong_at(range(wrong)))
    publish_many(tmp_path, a_record("tfidf", dataset="mine"), wrong_at([]))
    show_runs({run.folder: True})
    own, others, written = capsys.readouterr().out.strip().split("\n\n")
    assert own.splitlines()[0] == "This command's runs on emotion"
    assert [line.split("  ")[0] for line in own.splitlines()[3:]] == ["MiniLM-L6"]
    assert others.splitlines()[0] == "Best others on emotion"
    accuracies = [word for line in others.splitlines()[3:] for word in line.split() if word.startswith(("0.9", "1.0"))]
    assert accuracies[0] == "1.0000"
    assert sum(line.count(" to ") for line in others.splitlines()) == OTHERS
    assert written.splitlines()[:3] == ["wrote", f"  {tmp_path}/report.html", f"  {run.folder}"]


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_tables_fit_the_terminal_and_break_between_words(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((width, 24)))
    run = publish(tmp_path, a_record("minilm", "model.batching=padded", "recipe.name=mine"), ONE_WRONG)
    publish(tmp_path, a_record("llama3_lora"), ONE_WRONG)
    failed = replace(a_record("tfidf", status=Status.failed), failure=Failure("The training loss is not finite."))
    show_runs({run.folder: False, publish(tmp_path, failed).folder: False})
    shown = capsys.readouterr().out.partition("\nnothing new")[0]
    assert max(map(len, shown.splitlines())) <= width
    words = set(shown.split())
    assert {"MiniLM-L6", "0.9000", "Instruct"} <= words
    shown_columns = ("mine," in words, "0.5958" in words, "finite" in words)
    assert shown_columns == (width >= 60, width >= 60, width >= 80)


def test_a_failed_run_without_scores_is_shown_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = replace(a_record("tfidf", status=Status.failed), failure=Failure("The training loss is not finite."))
    show_runs({publish(tmp_path, failed).folder: True})
    assert "The training loss is not finite" in " ".join(capsys.readouterr().out.split())


def test_an_unreadable_file_of_predictions_is_an_error_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (run.folder / "predictions.parquet").unlink()
    show_runs({run.folder: True})
    assert "predictions.parquet" in capsys.readouterr().err
