"""The outcome of one job."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import command
from benchmark.config import RunConfig
from benchmark.results import store
from benchmark.results.record import Status

Compose = Callable[..., RunConfig]


def test_a_run_whose_model_card_cannot_be_written_is_completed(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(command, "handle_signals", lambda: None)
    monkeypatch.setattr(command, "quiet_libraries", lambda: None)
    kept = ("model=majority", f"models_dir={tmp_path}/models")
    command.attempt(compose_run(*kept), [])
    (card,) = (tmp_path / "models").rglob("README.md")
    card.unlink()
    card.mkdir()
    with caplog.at_level(logging.WARNING):
        outcome = command.attempt(compose_run(*kept, "force=true"), [])
    assert (outcome.error, outcome.written) == (None, True)
    assert outcome.folder is not None
    assert store.read(outcome.folder).record.status is Status.completed
    assert str(card) in caplog.text


def test_the_outcomes_of_a_sweep_are_read_in_order_without_what_a_killed_job_left(tmp_path: Path) -> None:
    for number in (10, 9):
        command.JobOutcome((f"seed={number}",), tmp_path / str(number)).save(tmp_path, number)
    folder = next(tmp_path.glob("*/9.json")).parent
    (folder / ".partial-x.json").write_text("{")
    outcomes = command.outcomes_of(tmp_path)
    assert [(outcome.overrides, outcome.folder) for outcome in outcomes] == [
        (("seed=9",), tmp_path / "9"),
        (("seed=10",), tmp_path / "10"),
    ]
