"""Full disks, too little memory and losses that are not finite: real file systems and limits."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from child_processes import (
    exit_code,
    finish,
    predictions_of,
)

from benchmark.config import RunConfig
from benchmark.errors import BenchmarkError
from benchmark.report.run_figures import draw_run
from benchmark.results import store
from benchmark.results.record import Status
from benchmark.results.store import Run
from benchmark.run import runner

Compose = Callable[..., RunConfig]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread_per_process")]


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


def test_a_full_disk_damages_no_record_and_no_table(compose_run: Compose, small_disk: Path) -> None:
    results = f"results_dir={small_disk}/results"
    assert exit_code(compose_run("model=majority", results)) == 0
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file() and path.name != "log.txt"}
    config = compose_run("model=tfidf", results)
    for leaving in (0, 10_000):
        ballast = fill(small_disk, leaving)
        with pytest.raises(BenchmarkError, match="The disk is full"):
            runner.run(config, save_plots=draw_run)
        ballast.unlink()
        after = {path: path.read_bytes() for path in before}
        assert after == before
        assert not list(small_disk.rglob(".partial-*"))
        statuses = [run.record.status for run in store.read_all(small_disk / "results")]
        assert statuses.count(Status.completed) == 1
    fill(small_disk, leaving=30_000)  # enough for the record and the predictions
    run = runner.run(config, save_plots=draw_run)
    assert run.record.status is Status.completed
    assert not list(run.folder.glob("*.png"))


def test_a_run_that_filled_the_disk_with_checkpoints_continues_when_there_is_space(
    config: RunConfig, reference: Run, small_disk: Path, tmp_path: Path
) -> None:
    full = replace(config, results_dir=f"{tmp_path}/results", checkpoints_dir=f"{small_disk}/checkpoints")
    ballast = fill(small_disk, leaving=1_000_000)
    assert exit_code(full) == 1
    (failed,) = store.read_all(tmp_path / "results")
    assert failed.record.failure is not None
    assert failed.record.failure.message.startswith("The disk is full")
    ballast.unlink()
    assert predictions_of(finish(full)) == predictions_of(reference)


OUT_OF_MEMORY = """
import json, resource, sys
from pathlib import Path
from benchmark.configuration.compose import compose
from benchmark.run import runner
rows, spare = int(sys.argv[1]), int(sys.argv[2])
options = [f"results_dir={sys.argv[3]}/results", f"checkpoints_dir={sys.argv[3]}/checkpoints", "dataset=synthetic"]
runner.run(compose(["model=tiny_bert", "recipe.max_steps=1", "recipe.batch_size=1", *options]))  # all libraries loaded
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
# relu: oneDNN's gelu compiles itself anew for each shape, in pages that the limit may no longer grant
wide = ["+model.architecture.hidden_act=relu", "model.architecture.hidden_size=64",
        "model.architecture.intermediate_size=16384"]
run = runner.run(compose(
    ["model=tiny_bert", "recipe.max_steps=2", f"recipe.batch_size={rows}",
     "recipe.gradient_accumulation_steps=1",
     "model.prediction_batch_size=1", *wide, *options]))
print(json.dumps([run.record.fit.pass_size, run.record.fit.effective_batch]))
"""


def limited(tmp_path: Path, rows: int, spare: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(rows), str(spare), str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_running_out_of_memory_halves_the_pass_and_keeps_the_effective_batch(tmp_path: Path) -> None:
    done = limited(tmp_path, rows=256, spare=1_000_000_000)
    assert done.returncode == 0, done.stderr[-2000:]
    pass_size, effective_batch = json.loads(done.stdout.splitlines()[-1])
    assert pass_size < effective_batch == 256


@pytest.mark.parametrize(
    ("spare", "problem", "failed"),
    [
        (30_000_000, "Memory ran out on a single sample. Lower recipe.max_length", [Status.failed]),
        (4_000_000, "Memory ran out while the network was loaded. Free some memory", []),
    ],
)
def test_too_little_memory_fails_with_a_fix(spare: int, problem: str, failed: list[Status], tmp_path: Path) -> None:
    done = limited(tmp_path, rows=8, spare=spare)
    assert done.returncode == 1
    assert problem in done.stderr
    statuses = [run.record.status for run in store.read_all(tmp_path / "results")]
    assert sorted(statuses) == [Status.completed, *failed]


def test_a_loss_that_is_not_finite_fails_and_names_its_step(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=tiny_bert", "recipe.learning_rate=1e30", "recipe.max_steps=30")
    with pytest.raises(BenchmarkError, match=r"not finite at step \d+.*recipe.learning_rate"):
        runner.run(config)
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert not (run.folder / "predictions.parquet").exists()
