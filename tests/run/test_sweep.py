"""Sweeps: one process per job, isolated failures, several processes at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from child_processes import PROCESSES, current_job, predictions_of, server_of, start, start_command

from benchmark.config import RunConfig
from benchmark.results import store
from benchmark.results.record import Status, sha256
from benchmark.run import child_process
from benchmark.terminal import INTERRUPTED

Compose = Callable[..., RunConfig]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread_per_process")]


FORKABLE = """
import importlib, threading, torch
from benchmark.run.child_process import LIBRARIES
def asked(*_, **__):
    raise SystemExit("a GPU was asked for")
for name in ("_lazy_init", "is_available", "device_count", "get_device_capability"):
    setattr(torch.cuda, name, asked)
for name in LIBRARIES:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_the_libraries_a_sweep_preloads_can_be_forked() -> None:
    subprocess.run([sys.executable, "-c", FORKABLE], check=True)


def test_nothing_is_preloaded_if_there_is_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "GPU_DEVICES", (f"{tmp_path}/device",))
    preloaded: list[list[str]] = []
    monkeypatch.setattr(PROCESSES, "set_forkserver_preload", preloaded.append)
    child_process._process(target=print, args=())
    (tmp_path / "device").touch()
    child_process._process(target=print, args=())
    assert preloaded == [child_process.LIBRARIES, []]


def test_a_long_result_of_a_job_is_received() -> None:
    code, returned = child_process.run_in_process(str.ljust, "", 1_000_000, logging_config={"version": 1, "root": {}})
    assert (code, len(returned)) == (0, 1_000_000)


MODEL = """
import os
from pathlib import Path
from baselines.majority import MajorityClassifier
class Touching(MajorityClassifier):
    def fit(self, *arguments):
        Path(os.environ["PLACE"]).touch()
        return super().fit(*arguments)
"""


def test_each_job_gets_its_own_environment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_model.py").write_text(MODEL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    places = f"+hydra.job.env_set.PLACE={tmp_path}/of-job-${{hydra.job.num}}"
    with start_command(
        tmp_path, "-m", "model=majority", "model._target_=own_model.Touching", "seed=0,1", places
    ) as sweep:
        output = sweep.communicate()[0]
    assert sweep.returncode == 0, output
    assert sorted(path.name for path in tmp_path.glob("of-job-*")) == ["of-job-0", "of-job-1"]


def test_a_killed_job_does_not_stop_the_sweep_and_a_rerun_completes_it(tmp_path: Path) -> None:
    arguments = ["-m", "model=tiny_bert,tiny_roberta,majority", "recipe.max_steps=200"]
    sweep = start_command(tmp_path, *arguments)
    while not list(tmp_path.glob("checkpoints/*/checkpoint-20/seal.json")):
        assert sweep.poll() is None
    child = current_job(sweep.pid)
    assert child is not None
    os.kill(child, signal.SIGKILL)
    output = sweep.communicate()[0]
    assert sweep.returncode == 1
    assert "killed by SIGKILL" in output
    assert output.count("rebuilding the report") == 1
    ended = {run.record.model: run.record for run in store.read_all(tmp_path / "results")}
    assert {name: record.status for name, record in ended.items()} == {
        "tiny_bert": Status.failed, "tiny_roberta": Status.completed, "majority": Status.completed,
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "results/tables/reduced_runs_synthetic.csv")
    assert set(table["name"]) == {"tiny_bert", "tiny_roberta", "majority"}
    again = start_command(tmp_path, *arguments)
    output = again.communicate()[0]
    assert again.returncode == 0
    assert output.count("already finished") == 2
    assert "continuing from" in output
    assert {run.record.status for run in store.read_all(tmp_path / "results")} == {Status.completed}


def test_a_job_that_raises_does_not_stop_the_sweep(tmp_path: Path) -> None:
    with start_command(tmp_path, "-m", "model=tiny_bert", "+model.architecture.type_vocab_size=0,2") as sweep:
        output = sweep.communicate()[0]
    assert sweep.returncode == 1, output
    failed, completed = sorted(store.read_all(tmp_path / "results"), key=lambda run: run.record.status, reverse=True)
    assert (failed.record.status, completed.record.status) == (Status.failed, Status.completed)
    assert failed.record.failure is not None
    assert "encoder.py" in str(failed.record.failure.traceback)


def test_killing_a_sweep_ends_its_job_and_a_rerun_completes_it(tmp_path: Path) -> None:
    arguments = ["-m", "model=tiny_bert", "recipe.max_steps=200"]
    sweep = start_command(tmp_path, *arguments)
    while not list(tmp_path.glob("checkpoints/*/checkpoint-20/seal.json")):
        assert sweep.poll() is None
    sweep.kill()
    sweep.communicate()
    again = start_command(tmp_path, *arguments)
    assert "continuing from" in again.communicate()[0]
    assert again.returncode == 0
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.completed


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("training", [False, True])
def test_a_signal_to_all_processes_of_a_sweep_ends_it_without_a_traceback(
    training: bool, end: signal.Signals, tmp_path: Path
) -> None:
    """As Ctrl-C and `timeout` send it, while the server of the jobs imports the libraries or during a training."""
    sweep = start_command(tmp_path, "-m", "model=tiny_bert", "recipe.max_steps=200")
    while not (list(tmp_path.glob("checkpoints/*/checkpoint-20/seal.json")) if training else server_of(sweep.pid)):
        assert sweep.poll() is None
    os.killpg(sweep.pid, end)
    output = sweep.communicate()[0]
    assert sweep.returncode == INTERRUPTED
    assert "Traceback" not in output
    records = [run.record for run in store.read_all(tmp_path / "results")] if training else []
    assert [record.status for record in records] == [Status.interrupted] * training


def test_eight_processes_that_finish_together_lose_nothing(compose_run: Compose, tmp_path: Path) -> None:
    processes = [start(compose_run("model=majority", f"seed={seed}")) for seed in range(8)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    runs = store.read_all(tmp_path / "results")
    assert [run.record.seed for run in runs] == list(range(8))
    for run in runs:
        assert sha256(predictions_of(run)) == run.record.predictions_sha256
    table = pd.read_csv(tmp_path / "results/tables/reduced_runs_synthetic.csv")
    assert table["seeds"].tolist() == [8]
    assert not list((tmp_path / "results").rglob(".partial-*"))


def test_two_sweeps_of_the_same_runs_make_each_run_once(tmp_path: Path) -> None:
    sweeps = [start_command(tmp_path, "-m", "model=majority", "seed=0,1") for _ in range(2)]
    output = [sweep.communicate()[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], output
    assert sum(text.count("already finished") for text in output) == 2
    assert len(store.read_all(tmp_path / "results")) == 2
