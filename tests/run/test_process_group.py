"""One run by several processes of torchrun gives what one process gives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from accelerate.utils import str_to_bool
from factories import SMALL, command_line, folders_in, variables

from benchmark.results import store
from benchmark.results.record import Status
from benchmark.results.store import Run
from benchmark.run import process_group

NO_DROPOUT = ["+model.architecture.hidden_dropout_prob=0.0", "+model.architecture.attention_probs_dropout_prob=0.0"]
"""Without it, what is dropped out depends on how a batch is divided."""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "benchmark"]


SHARDED = {"ACCELERATE_USE_FSDP": "1"}


@pytest.mark.parametrize("value", ["1", "true", "True", "yes", "y", "t", "on", "0", "false", "no", "off"])
def test_a_variable_is_true_where_accelerate_reads_it_as_true(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(process_group.FSDP, value)
    assert process_group.is_true(process_group.FSDP) == bool(str_to_bool(value))


def two_processes(folder: Path, *arguments: str, sharded: bool = False) -> "subprocess.Popen[str]":
    command = [*TORCHRUN, *arguments, *folders_in(folder)]
    environment = variables() | (SHARDED if sharded else {})
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_in(folder: Path) -> Run:
    (run,) = store.read_all(folder / "results")
    return run


def check_same(one: Run, other: Run) -> None:
    assert one.record.fit is not None
    assert other.record.fit is not None
    assert other.record.digest == one.record.digest
    losses = [[(point.loss, point.validation_loss) for point in run.record.fit.curve] for run in (one, other)]  # type: ignore[union-attr]
    np.testing.assert_allclose(*np.array(losses, dtype=float), atol=1e-5)
    np.testing.assert_array_equal(one.predictions.predicted, other.predictions.predicted)
    np.testing.assert_allclose(one.predictions.probabilities, other.predictions.probabilities, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_losses_and_predictions_do_not_depend_on_the_number_of_processes(model: str, tmp_path: Path) -> None:
    options = [
        f"model={model}",
        "recipe.epochs=2",
        "recipe.batch_size=8",
        "recipe.gradient_accumulation_steps=2",
        *SMALL,
    ]
    options += NO_DROPOUT if model == "tiny_bert" else []
    with two_processes(tmp_path / "two", *options) as together:
        output = together.communicate()[0]
    assert together.returncode == 0, output
    assert output.count("training for") == 1  # the second process is quiet
    assert command_line(tmp_path / "one", *options).returncode == 0
    one, two = run_in(tmp_path / "one"), run_in(tmp_path / "two")
    check_same(one, two)
    assert (one.record.environment.processes, two.record.environment.processes) == (1, 2)
    assert two.record.hardware == f"2 x {one.record.hardware}"
    assert not list((tmp_path / "two/checkpoints").glob("*/"))


@pytest.mark.slow
@pytest.mark.parametrize("options", [["model.readout=labels"], ["model.readout=head", "model.batching=padded"]])
def test_processes_that_shard_the_weights_give_what_one_gives(options: list[str], tmp_path: Path) -> None:
    """The last batch of an epoch, of 3 rows in passes of 1, is one pass more for one of them."""
    rows = ["dataset.train_rows=19", "dataset.validation_rows=11", "dataset.test_rows=15"]
    options = ["model=tiny_llama", "recipe.epochs=2", "recipe.batch_size=1", *options, *SMALL, *rows]
    with two_processes(tmp_path / "two", *options, sharded=True) as together:
        output = together.communicate()[0]
    assert together.returncode == 0, output
    assert command_line(tmp_path / "one", *options).returncode == 0
    one, two = run_in(tmp_path / "one"), run_in(tmp_path / "two")
    check_same(one, two)
    assert two.record.environment.sharded_weights
    assert two.record.hardware == f"2 x {one.record.hardware}, FSDP"
    assert two.record.fit is not None
    assert two.record.fit.parameters == one.record.fit.parameters  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["model=tiny_bert"], "FSDP does not support a model of the kind encoder."),
        (["model=tiny_llama", "model.readout=generate"], "FSDP does not support free generation."),
    ],
)
def test_what_cannot_shard_its_weights_is_refused(options: list[str], named: str, tmp_path: Path) -> None:
    with two_processes(tmp_path, *options, *SMALL, sharded=True) as together:
        output = together.communicate()[0]
    assert together.returncode != 0
    assert named in output
    assert not store.read_all(tmp_path / "results")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "keep", "sharded"),
    [("tiny_bert", "last", False), ("tiny_bert", "best", False), ("tiny_llama", "last", True)],
)
def test_a_run_that_two_processes_began_is_continued_by_one(
    model: str, keep: str, sharded: bool, tmp_path: Path
) -> None:
    options = [f"model={model}", "recipe.epochs=12", f"recipe.keep={keep}", *SMALL]
    options += NO_DROPOUT if model == "tiny_bert" else []
    with two_processes(tmp_path / "two", *options, sharded=sharded) as together:
        while not list(tmp_path.glob("two/checkpoints/*/checkpoint-*/seal.json")):
            assert together.poll() is None
        together.send_signal(signal.SIGTERM)
        output = together.communicate()[0]
    assert run_in(tmp_path / "two").record.status is Status.interrupted, output
    continued = command_line(tmp_path / "two", *options)
    assert "continuing from step" in continued.stderr + continued.stdout
    assert command_line(tmp_path / "one", *options).returncode == 0
    check_same(run_in(tmp_path / "one"), run_in(tmp_path / "two"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["recipe.gradient_accumulation_steps=1", "recipe.batch_size=5"], "5 samples cannot be divided among 2"),
        (["-m", "seed=0,1"], "2 processes were started for a sweep"),
    ],
)
def test_what_processes_cannot_share_is_refused(arguments: list[str], named: str, tmp_path: Path) -> None:
    with two_processes(tmp_path, "model=tiny_bert", *arguments, *SMALL) as together:
        output = together.communicate()[0]
    assert together.returncode != 0
    assert named in output
    assert not store.read_all(tmp_path / "results")


OWN_FOLDERS = """
import os
from benchmark.__main__ import main
os.chdir(os.environ["RANK"])
main()
"""


@pytest.mark.slow
def test_checkpoints_that_other_machines_do_not_see_are_refused_before_training(tmp_path: Path) -> None:
    script = tmp_path / "own_folders.py"
    script.write_text(OWN_FOLDERS)
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    command = [
        *TORCHRUN[:-2],
        str(script),
        "model=tiny_bert",
        *SMALL,
        "checkpoints_dir=checkpoints",
        "results_dir=results",
    ]
    environment = variables() | {"PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "checkpoints_dir is not the same folder on all machines." in ended.stderr
    assert not store.read_all(tmp_path / "0/results")


ENDS_ALONE = """
from dataclasses import dataclass
import numpy as np
from baselines.majority import MajorityClassifier
from benchmark.interface import Predictions
from benchmark.run.process_group import is_follower

@dataclass
class EndsAlone(MajorityClassifier):
    def predict(self, texts):
        predictions = super().predict(texts)
        if not is_follower():
            predictions.probabilities[:] = np.nan
        return predictions
"""


@pytest.mark.slow
def test_where_the_first_process_fails_between_its_messages_only_its_error_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ends_alone.py").write_text(ENDS_ALONE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with two_processes(tmp_path, "model=majority", "model._target_=ends_alone.EndsAlone", *SMALL) as together:
        output = together.communicate()[0]
    assert together.returncode != 0
    assert "test row 0 are not finite" in output
    assert "Connection closed" not in output
    assert "RuntimeError" not in output
