"""Sweeps whose jobs run at once, on a cluster or as a search: Hydra's launchers and its Optuna sweeper."""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from child_processes import children_of, start_command
from factories import SMALL, command_line
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from benchmark.config import CONF_DIR
from benchmark.configuration import compose, resolvers
from benchmark.configuration.overrides import PLUGINS
from benchmark.errors import BenchmarkError
from benchmark.results import store
from benchmark.results.record import Status

MODULES = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit": "hydra_plugins.hydra_submitit_launcher",
    "optuna": "hydra_plugins.hydra_optuna_sweeper",
}


def installed(name: str) -> bool:
    return find_spec("hydra_plugins") is not None and find_spec(MODULES[name]) is not None


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed(name), reason=f"{MODULES[name]} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [pytest.param("local_parallel", marks=needs("joblib")), pytest.param("submitit_local", marks=needs("submitit"))],
)
def test_jobs_in_other_processes_leave_their_records_and_tables_and_say_how_they_ended(
    launcher: str, tmp_path: Path
) -> None:
    options = [f"hydra/launcher={launcher}", "model=majority", "seed=1,2", "recipe.epochs=1,-1", *SMALL]
    ended = command_line(tmp_path, "-m", *options)
    assert ended.returncode == 1
    assert "2 of 4 runs failed" in ended.stderr
    runs = store.read_all(tmp_path / "results")
    assert [(run.record.seed, run.record.status) for run in runs] == [(1, Status.completed), (2, Status.completed)]
    assert all(str(run.folder) in ended.stdout for run in runs)
    table = pd.read_csv(tmp_path / "results/tables/leaderboard_synthetic.csv")
    assert table["seeds"].tolist() == [2]


def test_the_jobs_of_a_machine_share_its_cores() -> None:
    cores = resolvers.threads_per_job(1)
    assert [resolvers.threads_per_job(jobs) for jobs in (cores, 10 * cores, -1)] == [1, 1, 1]


@needs("submitit")
@pytest.mark.parametrize(
    ("overrides", "gpus", "memory"),
    [
        (["model=tfidf"], None, 8),
        (["model=llama3_lora", "seed=0,1"], 1, 40),
        (["model=tfidf,bert_base"], 1, 16),
        (["model=choice(tfidf,bert_base)"], 1, 16),
        (["model=glob(llama3_*)"], 1, 40),
        (["model=tfidf", "+model.needs.memory_gb=99"], None, 99),
        (["experiment=table3"], 1, 40),
    ],
)
def test_slurm_jobs_ask_for_what_the_largest_model_of_the_sweep_needs(
    overrides: list[str], gpus: int | None, memory: int
) -> None:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        asked = ["hydra/launcher=slurm", "hydra.job.name=a-job", *overrides]
        config = hydra.compose_config("config", asked, run_mode=RunMode.MULTIRUN)
        launcher = config.hydra.launcher
        assert (launcher.gpus_per_node, launcher.mem_gb) == (gpus, memory)


@pytest.mark.parametrize("needed", ["{gpus: -1}", "{memory_gb: 0}", "{gpu: 1}"])
def test_needs_that_are_not_understood_are_refused(needed: str) -> None:
    with pytest.raises(BenchmarkError, match=r"model\.needs\."):
        compose.compose(["model=tfidf", f"+model.needs={needed.replace(' ', '')}"])


@pytest.mark.parametrize("choice", [one for one in PLUGINS if not one.endswith("ray")])
def test_a_choice_without_its_plugin_names_the_package(choice: str) -> None:
    group, _, name = choice.rpartition("/")
    if installed(name.partition("_")[0]):
        pytest.skip("the plugin is installed")
    with pytest.raises(BenchmarkError) as refused:
        compose.compose([f"{group}={name}"])
    assert PLUGINS[choice] in refused.value.fix


@pytest.mark.slow
@needs("submitit")
def test_a_job_that_its_cluster_ends_is_queued_again_and_continues_from_its_checkpoint(tmp_path: Path) -> None:
    """submitit asks for the end with SIGUSR2, as SLURM does before a time limit and at preemption."""
    sweep = start_command(tmp_path, "-m", "model=tiny_bert", "recipe.max_steps=100", "hydra/launcher=submitit_local")
    while not list(tmp_path.glob("checkpoints/*/checkpoint-10/seal.json")):
        assert sweep.poll() is None
    os.kill(submitit_task(sweep.pid), signal.SIGUSR2)
    output = sweep.communicate()[0]
    assert sweep.returncode == 0, output
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.completed
    logs = "".join(path.read_text() for path in tmp_path.glob("sweep*/.submitit/*/*_log.*"))
    assert "continuing from step" in logs


def submitit_task(process: int) -> int:
    """The process of the job below that of the sweep."""
    below = [process]
    for parent in below:
        below += children_of(parent)
    named = [pid for pid in below if b"submitit.core._submit" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return named[-1]


@pytest.mark.slow
@needs("optuna")
def test_a_search_maximises_the_validation_accuracy_and_repeats_no_finished_run(tmp_path: Path) -> None:
    options = ["experiment=tune", "model=tiny_bert", "hydra.sweeper.n_trials=2", *SMALL]
    first = command_line(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    runs = store.read_all(tmp_path / "results")
    accuracies = [run.record.fit.validation_accuracy(run.record.config.recipe.keep) for run in runs if run.record.fit]
    assert len(accuracies) == 2
    found = (tmp_path / "sweep/optimization_results.yaml").read_text()
    assert f"best_value: {max(filter(None, accuracies))}" in found
    again = command_line(tmp_path, *options)
    assert (again.stdout + again.stderr).count("already finished") == 2
    outcomes = [json.loads(path.read_text()) for path in (tmp_path / "sweep/outcomes").glob("*.json")]
    assert [outcome["written"] for outcome in outcomes] == [False, False]
