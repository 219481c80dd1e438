"""The doctor lists everything that would stop a run, each with a fix, and nothing else."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
import torch

from baselines.compute.hardware import Precision, Quantization
from baselines.training.memory_estimate import MemoryEstimate, estimate_memory
from benchmark import doctor
from benchmark.config import FOLDERS
from benchmark.configuration.compose import build_classifier, compose
from benchmark.errors import BenchmarkError
from benchmark.interface import CheckResult
from benchmark.run import diagnosis, runner
from benchmark.run.catalogue import shipped_models

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def problems(*overrides: str) -> dict[str, CheckResult]:
    """The results that would stop the run, by what they are about."""
    found = diagnosis.examine(compose(["dataset=synthetic", *overrides]))
    return {result.what: result for result in found if result.fix is not None}


def test_a_run_that_can_start_has_no_problems() -> None:
    assert problems("model=tiny_bert") == {}
    assert problems("model=majority") == {}


def test_random_weights_without_training_are_found() -> None:
    assert "head in random weights" in problems("model=tiny_bert", "model.train=false")["train"].found


@no_gpu
def test_everything_that_is_missing_is_listed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = problems(
        "model=llama3_lora", "model.weights.source=folder", "model.weights.path=nowhere", "report_to=[wandb]",
        f"dataset.path={tmp_path}", "dataset.synthetic=null", f"results_dir={tmp_path}/file/results",
    )  # fmt: skip
    assert found.keys() == {"data", "folders", "hardware", "memory", "weights", "trackers"}
    assert "CUDA GPU" in found["hardware"].found
    assert "about 2" in found["memory"].found  # 16 GB of weights, then adapters, then what a pass keeps
    assert "nowhere is not a folder" in found["weights"].found
    assert "has no train split" in found["data"].found
    assert all(result.fix for result in found.values())


@pytest.mark.parametrize("model", shipped_models())
def test_every_model_can_be_examined(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.training.requirements.availability", lambda _: "available")
    found = list(diagnosis.examine(compose([f"model={model}", "dataset=synthetic"])))
    assert [result.what for result in found][:3] == ["versions", "data", "folders"]


def test_a_missing_file_of_answers_is_found(tmp_path: Path) -> None:
    assert problems("model=external")["answers"].fix == "Set model.path=FILE."
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"predict": "joy"}\n' * 300)
    assert problems("model=external", f"model.path={answers}") == {}


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ('{"predict": "joy", "prompt": "of another text"}', "row 1: the prompt"),
        ('{"output": "joy"}', "row 1 has no answer"),
        ('{"predict": "joy", "p_joy": 0.1}', "row 1 has no p_sadness"),
    ],
)
def test_answers_that_belong_to_other_rows_are_found(row: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text(f"{row}\n" * 300)
    result = problems("model=external", f"model.path={tmp_path}/answers.jsonl")["rows"]
    assert named in result.found


def test_labels_without_rows_and_a_single_label_are_found(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text("one;joy\ntwo;joy\nthree;love\nfour;love\n")
    data = ["dataset.synthetic=null", f"dataset.path={tmp_path}", "dataset.labels=[joy,love,fear]"]
    (found,) = [
        result
        for result in diagnosis.examine(compose(["dataset=synthetic", "model=majority", *data]))
        if result.what == "data"
    ]
    assert found.fix is None
    assert "No train row has the label fear." in found.found
    (tmp_path / "train.txt").write_text("one;joy\ntwo;joy\n")
    assert "Every training row has the label joy" in problems("model=majority", *data)["data"].found


def test_a_branch_that_nobody_can_resolve_is_found() -> None:
    hub = ["model.weights.source=hub", "model.weights.hub={id: o/name, revision: main}"]
    assert "'main' of o/name" in problems("model=tiny_bert", *hub)["revision"].found


def test_data_without_labels_that_cannot_be_read_are_reported_once(tmp_path: Path) -> None:
    found = problems("model=majority", "dataset=hub", "dataset.hub.id=o/name", f"dataset.path={tmp_path}/missing")
    assert list(found) == ["data"]


def test_a_package_in_the_wrong_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = diagnosis.installed_version
    monkeypatch.setattr(diagnosis, "installed_version", lambda name: "0.1" if name == "peft" else real(name))
    assert problems("model=majority")["versions"].found == "peft 0.1 (needs <0.22,>=0.21)."


def test_too_little_memory_is_a_problem_only_if_one_sample_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    card = build_classifier(compose(["model=tiny_bert"]).model).describe()
    needed = estimate_memory(card, Precision.fp32, tokens_per_sample=20)
    for free, stopped in ((needed.total(20) + 1, False), (needed.total(1) + 1, False), (needed.total(1) - 1, True)):
        monkeypatch.setattr("baselines.training.memory_estimate._available_memory", lambda free=free: free)
        monkeypatch.setattr("baselines.training.requirements.estimate_memory", lambda *_, **__: needed)
        assert ("memory" in problems("model=tiny_bert")) is stopped


@pytest.mark.parametrize(
    ("model", "samples", "tokens", "measured"),
    [("minilm", 20, 25, 1.5e9), ("smollm2_lora", 20, 40, 2.6e9), ("probe_mpnet", 256, 142, 5.1e9)],
)
def test_the_memory_estimate_is_near_what_was_measured(
    model: str, samples: int, tokens: float, measured: float
) -> None:
    classifier = build_classifier(compose([f"model={model}"]).model)
    needed: MemoryEstimate = estimate_memory(classifier.describe(), Precision.fp32, tokens)
    assert 0.6 < needed.total(samples) / measured < 1.6


@pytest.mark.parametrize(("samples", "measured"), [(20, 20.0e9), (40, 23.7e9), (80, 30.3e9), (160, 42.9e9)])
def test_the_memory_estimate_of_llama_3_is_near_its_peak_on_a_gpu(samples: int, measured: float) -> None:
    """Peaks on an H200: LoRA, bf16, packed, rows of the emotion data set, which have 24.5 tokens."""
    card = build_classifier(compose(["model=llama3_lora"]).model).describe()
    needed = estimate_memory(card, Precision.bf16, 24.5, fused=True)
    assert needed.total(samples) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(
    "overrides", [["model=probe"], ["model=tiny_bert", "model.train=false"], ["model=tiny_llama", "model.train=false"]]
)
def test_the_memory_of_a_model_that_is_not_trained_is_that_of_prediction(overrides: list[str]) -> None:
    batch = ["model.prediction_batch_size=7", "recipe.batch_size=1000"]
    found = diagnosis.examine(compose([*overrides, *batch, "dataset=synthetic"]))
    (memory,) = [result for result in found if result.what == "memory"]
    assert "with 7 samples" in memory.found


def test_llama_3_in_4_bits_fits_a_gpu_of_16_gb() -> None:
    card = build_classifier(compose(["model=llama3_qlora"]).model).describe()
    needed = estimate_memory(card, Precision.bf16, 24.5, Quantization.nf4)
    assert 5.5e9 < needed.weights < 6e9
    assert needed.total(20) < 15e9


def test_a_decoder_that_needs_more_memory_than_there_is_names_the_variant_in_4_bits() -> None:
    fix = problems("model=llama3_lora")["memory"].fix
    assert "+model.quantization=nf4" in str(fix)


def test_too_small_a_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr("baselines.training.requirements.shutil.disk_usage", lambda _: full)
    assert "set checkpoints_dir to another disk" in str(problems("model=tiny_bert")["disk"].fix)


def test_an_invalid_option_is_named() -> None:
    with pytest.raises(BenchmarkError, match="recipe.batch_size"):
        problems("model=tiny_bert", "recipe.batch_size=0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["model=tiny_bert", "dataset=synthetic"], 0, "nothing would stop this run"),
        (["model=external", "dataset=synthetic"], 1, "-> Set model.path=FILE."),
        (["model=no_such_model"], 1, "no_such_model"),
    ],
)
def test_the_exit_code_says_whether_there_are_problems(arguments: list[str], code: int, shown: str) -> None:
    command = [sys.executable, "-m", "benchmark.doctor", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == code
    assert shown in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_packages_that_were_checked_are_counted() -> None:
    required = [line for line in distribution(diagnosis.DISTRIBUTION).requires or [] if "extra ==" not in line]
    result = diagnosis._versions()
    assert result.found == f"{len(required)} packages as required"


@pytest.mark.parametrize("option", FOLDERS)
def test_a_folder_that_cannot_be_written_stops_before_any_work(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    asked = ["model=majority", "dataset=synthetic", f"results_dir={tmp_path}/results", f"checkpoints_dir={tmp_path}/c"]
    asked.append(f"{option}={tmp_path}/file/inside")
    found = problems(*asked)["folders"].found
    assert found.startswith(f"{option}={tmp_path}/file/inside")
    assert "cannot be written" in found
    with pytest.raises(BenchmarkError, match=f"{option}=.* cannot be written"):
        runner.run(compose(asked))


def exit_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str | int | None:
    """The exit code or message of `python -m benchmark.doctor ARGUMENT ...`."""
    monkeypatch.setattr(sys, "argv", ["doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        doctor.main()
    return ended.value.code


def test_a_model_in_a_config_dir_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "my conf"
    (own / "model").mkdir(parents=True)
    (own / "model/mine.yaml").write_text("defaults: [tiny_bert, _self_]\ntitle: Mine\nname: mine\n")
    assert exit_of(monkeypatch, "--config-dir", str(own), "model=mine", "dataset=synthetic") == 0
    assert capsys.readouterr().out.startswith("Mine on synthetic, recipe paper\n")
    assert "model=mine" in str(exit_of(monkeypatch, "model=mine", "dataset=synthetic"))
    assert "nowhere is not a folder" in str(exit_of(monkeypatch, "--config-dir", "nowhere", "model=mine"))


def test_an_option_with_several_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = str(exit_of(monkeypatch, "model=majority", "seed=0,1,2"))
    assert "seed=0,1,2 gives several values" in said
    assert "Give one value" in said


def test_weights_for_a_gpu_must_fit_into_memory_while_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**40, 2**40))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr("baselines.training.requirements.availability", lambda _: "available")
    monkeypatch.setattr("baselines.training.requirements.download_bytes", lambda _: 0)
    for free, stopped in ((10e9, True), (20e9, False)):
        monkeypatch.setattr("baselines.training.memory_estimate._available_memory", lambda free=free: free)
        found = problems("model=llama3_lora")
        assert ("loading" in found) is stopped
        assert "memory" not in found
