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
