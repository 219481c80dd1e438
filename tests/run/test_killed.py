"""Killed and interrupted runs continue to the same predictions: real processes and signals."""

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from child_processes import STEPS, finish, killed_when, log_of, moved_to, predictions_of, start

from benchmark.config import RunConfig
from benchmark.results import store
from benchmark.results.record import Status
from benchmark.results.store import Run
from benchmark.run.job import TRAINING_MARKER
from benchmark.terminal import INTERRUPTED

Compose = Callable[..., RunConfig]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread_per_process")]


def test_a_run_killed_at_any_time_continues_to_the_same_predictions(
    config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    generator = random.Random(0)
    began = time.perf_counter()
    finish(moved_to(config, tmp_path / "timed"))
    duration = time.perf_counter() - began

    def disturbed(number: int, moment: float) -> int | None:
        config_here = moved_to(config, tmp_path / str(number))
        process = start(config_here)
        process.join(moment)
        assert process.pid is not None
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
        process.join()
        run = finish(config_here)
        assert predictions_of(run) == predictions_of(reference), f"killed after {moment:.2f} of {duration:.2f} s"
        return process.exitcode

    ended: list[int | None] = []
    while len([code for code in ended if code != 0]) < 20:
        assert len(ended) < 60
        moments = [generator.uniform(0, duration) for _ in range(10)]
        with ThreadPoolExecutor(2) as pool:
            ended += pool.map(disturbed, range(len(ended), len(ended) + 10), moments)
    assert {-signal.SIGKILL, INTERRUPTED} <= set(ended)


def test_a_run_killed_while_writing_a_checkpoint_continues_from_the_previous_one(
    config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    disturbed = moved_to(config, tmp_path / "disturbed")

    def writing_the_third() -> bool:
        found = list(Path(disturbed.checkpoints_dir).glob("*/checkpoint-15"))
        return any(not (checkpoint / "seal.json").exists() for checkpoint in found)

    assert killed_when(start(disturbed), writing_the_third)
    run = finish(disturbed)
    assert "checkpoint-15 is damaged (it is incomplete)" in log_of(disturbed)
    assert "continuing from step 10 of" in log_of(disturbed)
    assert predictions_of(run) == predictions_of(reference)


def test_a_run_killed_while_writing_the_record_does_not_train_again(
    config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    disturbed = moved_to(config, tmp_path / "disturbed")
    results = Path(disturbed.results_dir)
    assert killed_when(start(disturbed), lambda: bool(list(results.rglob("predictions.parquet"))))
    assert not store.read_all(results)
    run = finish(disturbed)
    assert f"continuing from step {STEPS} of {STEPS}" in log_of(disturbed)
    assert not list(results.rglob(".partial-*"))
    assert predictions_of(run) == predictions_of(reference)
    assert run.record.fit is not None
    assert reference.record.fit is not None
    assert run.record.fit.curve == reference.record.fit.curve
    assert (run.record.fit.steps, run.record.fit.samples_seen) == (STEPS, reference.record.fit.samples_seen)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_tf_idf_killed_while_it_fits_begins_again(end: int, compose_run: Compose, tmp_path: Path) -> None:
    """A kill leaves no row; an interruption leaves one, which the completed run replaces."""
    config = compose_run("model=tfidf", "dataset.synthetic.train=6000")
    disturbed = moved_to(config, tmp_path / "disturbed")
    results = Path(disturbed.results_dir)
    process = start(disturbed)
    while process.is_alive() and not list(Path(disturbed.checkpoints_dir).glob(f"*/{TRAINING_MARKER}")):
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, end)
    process.join()
    assert [run.record.status for run in store.read_all(results)] == [Status.interrupted] * (end == signal.SIGTERM)
    assert predictions_of(finish(disturbed)) == predictions_of(finish(moved_to(config, tmp_path / "whole")))
    assert [run.record.status for run in store.read_all(results)] == [Status.completed]


@pytest.mark.parametrize("damage", ["truncated", "removed", "altered"])
def test_a_damaged_checkpoint_is_logged_and_skipped(
    damage: str, config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    disturbed = moved_to(config, tmp_path / "disturbed")
    checkpoints = Path(disturbed.checkpoints_dir)
    assert killed_when(start(disturbed), lambda: bool(list(checkpoints.glob("*/checkpoint-20/seal.json"))))
    newest = max(checkpoints.glob("*/checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    if not (newest / "seal.json").exists():
        pytest.fail("the run was killed too late")
    file = newest / "optimizer.pt"
    content = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "truncated" else content[:-1] + b"?")
    run = finish(disturbed)
    assert f"{newest.name} is damaged (optimizer.pt has changed)" in log_of(disturbed)
    assert predictions_of(run) == predictions_of(reference)
