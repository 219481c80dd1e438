"""What happens when runs are killed, disks fill and memory runs out: real processes, signals, files and limits."""

import json
import logging
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoConfig, LlamaForCausalLM

from baselines.weights.tokenizer import train_tokenizer
from benchmark import command
from benchmark.command import Stopped
from benchmark.config import RunConfig, build_classifier
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import FitContext
from benchmark.results import store as records
from benchmark.results.record import Status, sha256
from benchmark.results.store import Run
from benchmark.run import runner
from benchmark.run import sweep as processes
from benchmark.terminal import INTERRUPTED

pytestmark = pytest.mark.slow

Compose = Callable[..., RunConfig]

STEPS = 50
PRELOADED = ["transformers", "benchmark.command", "benchmark.run.runner", "benchmark.report.build", "baselines.encoder"]
PROCESSES = multiprocessing.get_context("forkserver")  # its children start with torch already imported
PROCESSES.set_forkserver_preload([*PRELOADED, "baselines.decoder", "baselines.tfidf", "baselines.majority"])


@pytest.fixture(scope="module", autouse=True)
def one_thread_a_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def attempt(config: RunConfig, tables: bool) -> None:
    """In a child: as the command line does it, or without rebuilding the tables; its log beside the results."""
    folder = Path(config.results_dir).parent
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=folder / "log.txt", level=logging.INFO, force=True)
    try:
        command.attempt(config, []) if tables else runner.run(config)
    except (Stopped, BenchmarkError):
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def start(config: RunConfig, tables: bool = True) -> BaseProcess:
    process = PROCESSES.Process(target=attempt, args=(config, tables))
    process.start()
    return process


def finish(config: RunConfig) -> Run:
    process = start(config, tables=False)
    process.join()
    assert process.exitcode == 0, log_of(config)
    (run,) = records.read_all(Path(config.results_dir))
    return run


def log_of(config: RunConfig) -> str:
    return (Path(config.results_dir).parent / "log.txt").read_text()


def elsewhere(config: RunConfig, folder: Path) -> RunConfig:
    return replace(config, results_dir=str(folder / "results"), checkpoints_dir=str(folder / "checkpoints"))


def answers(run: Run) -> bytes:
    return (run.folder / "predictions.parquet").read_bytes()


def killed_when(process: BaseProcess, reached: Callable[[], bool]) -> bool:
    """Whether the process was still at work when `reached` became true, and is now dead."""
    while process.is_alive():
        if reached():
            process.kill()
            process.join()
            return process.exitcode == -signal.SIGKILL
    return False


@pytest.fixture
def config(compose_run: Compose, tmp_path: Path) -> RunConfig:
    """Dropout is on, and the last of its epochs ends early."""
    return compose_run("model=tiny_bert", f"recipe.max_steps={STEPS}", "recipe.learning_rate=1e-3")


@pytest.fixture
def reference(config: RunConfig, tmp_path: Path) -> Run:
    return finish(elsewhere(config, tmp_path / "undisturbed"))


def test_a_run_killed_at_any_moment_continues_to_the_same_predictions(
    config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    generator = random.Random(0)
    began = time.perf_counter()
    finish(elsewhere(config, tmp_path / "timed"))
    duration = time.perf_counter() - began

    def disturbed(number: int, moment: float) -> int | None:
        config_here = elsewhere(config, tmp_path / str(number))
        process = start(config_here)
        process.join(moment)
        assert process.pid is not None
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
        process.join()
        run = finish(config_here)
        assert answers(run) == answers(reference), f"killed after {moment:.2f} of {duration:.2f} s"
        return process.exitcode

    ended: list[int | None] = []
    while len([code for code in ended if code != 0]) < 20:
        assert len(ended) < 60
        moments = [generator.uniform(0, duration) for _ in range(10)]
        with ThreadPoolExecutor(2) as pool:
            ended += pool.map(disturbed, range(len(ended), len(ended) + 10), moments)
    assert {-signal.SIGKILL, INTERRUPTED} <= set(ended)


def test_killed_while_writing_a_checkpoint_it_continues_from_the_one_before(
    config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    disturbed = elsewhere(config, tmp_path / "disturbed")

    def writing_the_third() -> bool:
        found = list(Path(disturbed.checkpoints_dir).glob("*/checkpoint-15"))
        return any(not (checkpoint / "seal.json").exists() for checkpoint in found)

    assert killed_when(start(disturbed), writing_the_third)
    run = finish(disturbed)
    assert "checkpoint-15 is damaged (it is incomplete)" in log_of(disturbed)
    assert "checkpoint-10" in log_of(disturbed).partition("continuing from")[2].splitlines()[0]
    assert answers(run) == answers(reference)


def test_killed_while_writing_the_record_it_trains_no_step_again(
    config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    disturbed = elsewhere(config, tmp_path / "disturbed")
    results = Path(disturbed.results_dir)
    assert killed_when(start(disturbed), lambda: bool(list(results.rglob("predictions.parquet"))))
    assert not records.read_all(results)
    run = finish(disturbed)
    assert f"checkpoint-{STEPS}" in log_of(disturbed).partition("continuing from")[2].splitlines()[0]
    assert not list(results.rglob(".partial-*"))
    assert answers(run) == answers(reference)
    assert run.record.fit is not None
    assert reference.record.fit is not None
    assert run.record.fit.curve == reference.record.fit.curve
    assert (run.record.fit.steps, run.record.fit.samples_seen) == (STEPS, reference.record.fit.samples_seen)


@pytest.mark.parametrize("damage", ["truncated", "removed", "altered"])
def test_a_damaged_checkpoint_is_said_and_passed_over(
    damage: str, config: RunConfig, reference: Run, tmp_path: Path
) -> None:
    disturbed = elsewhere(config, tmp_path / "disturbed")
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
    assert answers(run) == answers(reference)


def benchmark(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    places = [f"results_dir={folder}/results", f"checkpoints_dir={folder}/checkpoints"]
    places += [f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep-{random.random()}"]
    small = ["dataset=synthetic", "dataset.synthetic.train=60", "dataset.synthetic.validation=12"]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark", *arguments, *small, "dataset.synthetic.test=24", *places],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def child_at_work(sweep: int) -> int | None:
    """The process of a sweep's present job: the only child of the server that forks them."""
    (server,) = [pid for pid in children_of(sweep) if "forkserver" in Path(f"/proc/{pid}/cmdline").read_text()]
    at_work = children_of(server)
    return at_work[0] if at_work else None


def children_of(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


FORKABLE = """
import importlib, threading, torch
from benchmark.run.sweep import LIBRARIES
def asked(*_, **__):
    raise SystemExit("a GPU was asked for")
for name in ("_lazy_init", "is_available", "device_count", "get_device_capability"):
    setattr(torch.cuda, name, asked)
for name in LIBRARIES:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_what_a_sweep_imports_once_can_be_forked() -> None:
    subprocess.run([sys.executable, "-c", FORKABLE], check=True)


def test_where_there_is_a_gpu_nothing_is_imported_before_the_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GPU_DEVICES", (f"{tmp_path}/device",))
    told: list[list[str]] = []
    monkeypatch.setattr(PROCESSES, "set_forkserver_preload", told.append)
    processes._process(target=print, args=())
    (tmp_path / "device").touch()
    processes._process(target=print, args=())
    assert told == [processes.LIBRARIES, []]


CONTESTANT = """
import os
from pathlib import Path
from baselines.majority import MajorityClassifier
class Told(MajorityClassifier):
    def fit(self, *arguments):
        Path(os.environ["PLACE"]).touch()
        return super().fit(*arguments)
"""


def test_each_job_has_the_variables_set_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contestant.py").write_text(CONTESTANT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    places = f"+hydra.job.env_set.PLACE={tmp_path}/of-job-${{hydra.job.num}}"
    with benchmark(tmp_path, "-m", "model=majority", "model._target_=contestant.Told", "seed=0,1", places) as sweep:
        shown = sweep.communicate()[0]
    assert sweep.returncode == 0, shown
    assert sorted(path.name for path in tmp_path.glob("of-job-*")) == ["of-job-0", "of-job-1"]


def test_a_job_that_dies_or_raises_leaves_the_others_and_the_rerun_does_what_is_missing(tmp_path: Path) -> None:
    arguments = ["-m", "model=tiny_bert,tiny_roberta,majority", "recipe.max_steps=200"]
    sweep = benchmark(tmp_path, *arguments)
    while not list(tmp_path.glob("checkpoints/*/checkpoint-20/seal.json")):
        assert sweep.poll() is None
    child = child_at_work(sweep.pid)
    assert child is not None
    os.kill(child, signal.SIGKILL)
    shown = sweep.communicate()[0]
    assert sweep.returncode == 1
    assert "killed by SIGKILL" in shown
    ended = {run.record.model: run.record for run in records.read_all(tmp_path / "results")}
    assert {name: record.status for name, record in ended.items()} == {
        "tiny_bert": Status.failed, "tiny_roberta": Status.completed, "majority": Status.completed,
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "results/tables/leaderboard_synthetic.csv")
    assert set(table["name"]) == {"tiny_bert", "tiny_roberta", "majority"}
    again = benchmark(tmp_path, *arguments)
    shown = again.communicate()[0]
    assert again.returncode == 0
    assert shown.count("already finished") == 2
    assert "continuing from" in shown
    assert {run.record.status for run in records.read_all(tmp_path / "results")} == {Status.completed}


def test_a_job_that_raises_leaves_its_traceback_and_the_others(tmp_path: Path) -> None:
    with benchmark(tmp_path, "-m", "model=tiny_bert", "+model.architecture.type_vocab_size=0,2") as sweep:
        shown = sweep.communicate()[0]
    assert sweep.returncode == 1, shown
    failed, completed = sorted(records.read_all(tmp_path / "results"), key=lambda run: run.record.status, reverse=True)
    assert (failed.record.status, completed.record.status) == (Status.failed, Status.completed)
    assert failed.record.failure is not None
    assert "encoder.py" in str(failed.record.failure.traceback)


def test_a_killed_sweep_takes_its_job_along_and_the_rerun_completes(tmp_path: Path) -> None:
    arguments = ["-m", "model=tiny_bert", "recipe.max_steps=200"]
    sweep = benchmark(tmp_path, *arguments)
    while not list(tmp_path.glob("checkpoints/*/checkpoint-20/seal.json")):
        assert sweep.poll() is None
    sweep.kill()
    sweep.communicate()
    again = benchmark(tmp_path, *arguments)
    assert "continuing from" in again.communicate()[0]
    assert again.returncode == 0
    (run,) = records.read_all(tmp_path / "results")
    assert run.record.status is Status.completed


def test_eight_processes_finishing_at_once_lose_nothing(compose_run: Compose, tmp_path: Path) -> None:
    processes = [start(compose_run("model=majority", f"seed={seed}")) for seed in range(8)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    runs = records.read_all(tmp_path / "results")
    assert [run.record.seed for run in runs] == list(range(8))
    for run in runs:
        assert sha256(answers(run)) == run.record.predictions_sha256
    table = pd.read_csv(tmp_path / "results/tables/leaderboard_synthetic.csv")
    assert table["seeds"].tolist() == [8]
    assert not list((tmp_path / "results").rglob(".partial-*"))


def test_two_sweeps_of_the_same_runs_share_the_work(tmp_path: Path) -> None:
    sweeps = [benchmark(tmp_path, "-m", "model=majority", "seed=0,1") for _ in range(2)]
    shown = [sweep.communicate()[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], shown
    assert sum(text.count("already finished") for text in shown) == 2
    assert len(records.read_all(tmp_path / "results")) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, leaving: int) -> Path:
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_bsize - leaving))
    return ballast


def test_a_full_disk_loses_no_record_and_tears_no_table(compose_run: Compose, small_disk: Path) -> None:
    results = f"results_dir={small_disk}/results"
    assert start_and_wait(compose_run("model=majority", results)) == 0
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file() and path.name != "log.txt"}
    config = compose_run("model=tfidf", results)
    for leaving in (0, 20_000, 80_000):
        ballast = fill(small_disk, leaving)
        with pytest.raises(BenchmarkError, match="The disk is full .*; free some space"):
            runner.run(config)
        ballast.unlink()
        after = {path: path.read_bytes() for path in before}
        assert after == before
        assert not list(small_disk.rglob(".partial-*"))
        assert not [run for run in records.read_all(small_disk / "results") if run.record.status is Status.completed][
            1:
        ]
    assert runner.run(config).record.status is Status.completed


def start_and_wait(config: RunConfig) -> int | None:
    process = start(config)
    process.join()
    return process.exitcode


def test_a_disk_filled_by_checkpoints_is_named_and_the_run_continues_once_there_is_room(
    config: RunConfig, reference: Run, small_disk: Path, tmp_path: Path
) -> None:
    full = replace(config, results_dir=f"{tmp_path}/results", checkpoints_dir=f"{small_disk}/checkpoints")
    ballast = fill(small_disk, leaving=1_000_000)
    assert start_and_wait(full) == 1
    (failed,) = records.read_all(tmp_path / "results")
    assert failed.record.failure is not None
    assert failed.record.failure.message.startswith("The disk is full")
    ballast.unlink()
    assert answers(finish(full)) == answers(reference)


OUT_OF_MEMORY = """
import json, resource, sys
from pathlib import Path
from benchmark.run.compose import composed
from benchmark.run import runner
from benchmark.errors import BenchmarkError
rows, spare = int(sys.argv[1]), int(sys.argv[2])
options = [f"results_dir={sys.argv[3]}/results", f"checkpoints_dir={sys.argv[3]}/checkpoints", "dataset=synthetic"]
runner.run(composed(["model=tiny_bert", "recipe.max_steps=1", "recipe.batch_size=1", *options]))  # all libraries loaded
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
# relu: oneDNN's gelu compiles itself anew for each shape, in pages that the limit may no longer grant
wide = ["+model.architecture.hidden_act=relu", "model.architecture.hidden_size=64",
        "model.architecture.intermediate_size=16384"]
run = runner.run(composed(
    ["model=tiny_bert", "recipe.max_steps=2", f"recipe.batch_size={rows}",
     "recipe.gradient_accumulation_steps=1",
     "model.prediction_batch_size=1", *wide, *options]))
print(json.dumps([run.record.fit.pass_size, run.record.fit.effective_batch]))
"""


def limited(tmp_path: Path, rows: int, spare: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(rows), str(spare), str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_memory_that_runs_out_halves_the_pass_and_keeps_the_effective_batch(tmp_path: Path) -> None:
    done = limited(tmp_path, rows=256, spare=1_000_000_000)
    assert done.returncode == 0, done.stderr[-2000:]
    pass_size, effective_batch = json.loads(done.stdout.splitlines()[-1])
    assert pass_size < effective_batch == 256


def test_memory_too_small_for_one_sample_fails_clearly(tmp_path: Path) -> None:
    done = limited(tmp_path, rows=8, spare=3_000_000)
    assert done.returncode == 1
    assert "Memory ran out on a single sample; lower recipe.max_length" in done.stderr
    statuses = [run.record.status for run in records.read_all(tmp_path / "results")]
    assert sorted(statuses) == [Status.completed, Status.failed]


def test_a_loss_that_is_no_number_fails_with_its_step_and_no_score(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=tiny_bert", "recipe.learning_rate=1e30", "recipe.max_steps=30")
    with pytest.raises(BenchmarkError, match=r"not finite at step \d+.*recipe.learning_rate"):
        runner.run(config)
    (run,) = records.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert not (run.folder / "predictions.parquet").exists()


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_the_same_seed_gives_the_same_file_and_another_seed_another(model: str, compose_run: Compose) -> None:
    options = [f"model={model}", "recipe.max_steps=10", "recipe.learning_rate=1e-2", "force=true"]
    first, second, other = (answers(runner.run(compose_run(*options, f"seed={seed}"))) for seed in (0, 0, 1))
    assert first == second != other


RELOADED = """
import pickle, sys
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
import torch
from baselines.packed.fused import fuse
from baselines.prompt import Prompter
from benchmark.data import load as data
from benchmark.results import store as records
from benchmark.run.compose import build_classifier
config, folder = pickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2]
splits, classifier = data.load(config.dataset), build_classifier(config.model)
classifier.torch_device = torch.device("cpu")
classifier.tokenizer = AutoTokenizer.from_pretrained(folder)
if config.model.family == "encoder":
    classifier.network = AutoModelForSequenceClassification.from_pretrained(folder)
    classifier.max_length = config.recipe.max_length
    assert list(classifier.network.config.id2label.values()) == config.dataset.labels
else:
    by_head = classifier.readout == "classification head"
    auto_class = AutoModelForSequenceClassification if by_head else AutoModelForCausalLM
    base = auto_class.from_pretrained(classifier.weights.path, num_labels=6)
    classifier.network = PeftModel.from_pretrained(base, folder)
    fuse(classifier.network)
    labels, length = config.dataset.labels, config.recipe.max_length
    words = classifier.tokenizer, classifier.chat_template, classifier.instruction
    classifier.prompter = Prompter(*words, labels, length)
predictions = classifier.predict(splits.test.texts)
content = records.encode_predictions(splits.test, predictions, tuple(config.dataset.labels))
sys.stdout.write(sha256(content))
"""


def llama_in_a_folder(compose_run: Compose, folder: Path) -> list[str]:
    """Overrides that take a tiny Llama's weights from `folder`, where they are put."""
    config = compose_run("model=tiny_llama")
    architecture = config.model.parameters["architecture"]
    texts = [config.model.parameters["instruction"], *config.dataset.labels]
    tokenizer = train_tokenizer(architecture, texts)
    tokenizer.save_pretrained(folder)
    padding = tokenizer.pad_token_id
    LlamaForCausalLM(AutoConfig.for_model(**architecture, pad_token_id=padding)).save_pretrained(folder)
    return ["model=tiny_llama", "model.weights.source=folder", f"+model.weights.path={folder}"]


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta", "tiny_llama", "tiny_llama_head"])
def test_a_kept_model_loaded_in_a_new_process_gives_the_same_predictions(
    model: str, compose_run: Compose, tmp_path: Path
) -> None:
    chosen = [f"model={model}"]
    if model.startswith("tiny_llama"):
        chosen = [*llama_in_a_folder(compose_run, tmp_path / "base")[1:], *chosen]
    options = ["recipe.max_steps=10", "recipe.learning_rate=1e-2", f"models_dir={tmp_path}/models"]
    config = compose_run(*chosen, *options)
    run = runner.run(config)
    (folder,) = (path.parent for path in (tmp_path / "models").rglob("*.safetensors"))
    assert folder.name == run.folder.name
    pickled = tmp_path / "config.pickle"
    pickled.write_bytes(pickle.dumps(config))
    command = [sys.executable, "-c", RELOADED, str(pickled), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == run.record.predictions_sha256, done.stderr[-2000:]


def test_the_checkpoints_own_way_of_generating_is_not_taken_over(compose_run: Compose, tmp_path: Path) -> None:
    chosen = llama_in_a_folder(compose_run, tmp_path / "base")
    (tmp_path / "base/generation_config.json").write_text('{"repetition_penalty": 5.0, "do_sample": true}')
    config = compose_run(*chosen)
    classifier = build_classifier(config.model)
    splits = load(config.dataset)
    classifier.fit(
        splits.train, splits.validation, FitContext(tuple(config.dataset.labels), config.recipe, 0, tmp_path)
    )
    assert classifier.network.generation_config.repetition_penalty in (None, 1.0)  # type: ignore[attr-defined]
