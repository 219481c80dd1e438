from dataclasses import replace
from pathlib import Path

import pytest
from factories import a_record, publish

from benchmark.report.terminal import print_standing

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
BEFORE, AFTER = "2026-01-01T10:00:00+00:00", "2026-01-02"


def test_the_leaderboard_of_every_data_set_with_an_ended_run_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, replace(a_record("tfidf", dataset="mine"), finished="2025"), ONE_WRONG)
    print_standing(tmp_path, "mine", BEFORE)
    heading, columns, _, row = capsys.readouterr().out.strip().splitlines()[:4]
    assert heading == "emotion"
    assert columns.split() == ["Model", "Recipe", "Accuracy", "±", "seeds", "95%", "interval", "Macro-F1", "Training",
                               "Status"]  # fmt: skip
    assert row.split() == ["MiniLM-L6", "(22M", "BERT)", "paper", "0.9000", "-", "0.5958", "to", "0.9821", "0.9111",
                           "1.5", "min", "measured"]  # fmt: skip
    print_standing(tmp_path, "mine", BEFORE)
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "wrote", f"  {run.folder}", f"  {tmp_path}/tables", f"  {tmp_path}/figures",
    ]  # fmt: skip


def test_without_an_ended_run_the_data_set_that_was_asked_for_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, a_record("minilm"), ONE_WRONG)
    publish(tmp_path, a_record("tfidf", dataset="mine"), ONE_WRONG)
    print_standing(tmp_path, "mine", AFTER)
    shown = capsys.readouterr().out
    assert shown.splitlines()[1] == "mine"
    assert "wrote" not in shown


def test_an_unreadable_file_of_predictions_is_an_error_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (run.folder / "predictions.parquet").unlink()
    print_standing(tmp_path, "emotion", BEFORE)
    assert "predictions.parquet" in capsys.readouterr().err
