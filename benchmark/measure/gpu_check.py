"""`python -m benchmark.speed --check`: does the fast path work on this device, and how fast is it?

The parts are the GPU tests, the speed of each way to compute a decoder and an encoder, and a whole training of Llama 3
8B. Weights are random, so none are downloaded and no accuracy is measured. On a CPU, the same is done with tiny
models and without the tests.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmark.config import RunConfig
from benchmark.configuration.compose import compose
from benchmark.configuration.revisions import pin
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.measure import throughput
from benchmark.measure.measurable import measurable
from benchmark.measure.subject import subject_of
from benchmark.measure.throughput import SpeedOptions
from benchmark.results import environment
from benchmark.results.speed import Rows, Throughput, Way, device_folder, write_speed
from benchmark.run import measurement
from benchmark.run.folders import check_writable

log = logging.getLogger(__name__)

PARTS = ("tests", "speed", "training")
SUMMARY = "check.md"


@dataclass(frozen=True)
class ModelToMeasure:
    """A model to measure, and how."""

    overrides: tuple[str, ...]
    precisions: tuple[str, ...]
    options: SpeedOptions


LLAMA = ("model=llama3_lora", "model.weights.source=random", "recipe=paper", "model.precision=bf16")
ON_GPU = (
    ModelToMeasure(LLAMA, ("bf16",), SpeedOptions(steps=12, texts=1000, rounds=1)),
    ModelToMeasure(
        ("model=roberta_large", "model.weights.source=random", "recipe=paper"),
        ("fp32", "bf16"),
        SpeedOptions(steps=12, texts=1000, rounds=1),
    ),
)
TINY = ("dataset=synthetic", "dataset.synthetic.train=400", "dataset.synthetic.validation=6", "recipe.max_steps=4")
ON_CPU = (
    ModelToMeasure(("model=tiny_llama", *TINY), ("fp32",), SpeedOptions(2, 12, 1)),
    ModelToMeasure(("model=tiny_bert", *TINY), ("fp32",), SpeedOptions(2, 12, 1)),
)


def check(overrides: Sequence[str], parts: Sequence[str]) -> int:
    """Run the parts, write their figures and a summary, and return 1 if a part failed, else 0.

    `overrides` choose the data set and the folder of results. A part that fails does not stop the others.
    """
    on_gpu = torch.cuda.is_available()
    models = ON_GPU if on_gpu else ON_CPU
    results_dir = compose([*models[0].overrides, *overrides]).results_dir
    check_writable("results_dir", Path(results_dir))
    functions: dict[str, Callable[[], list[str]]] = {
        "tests": _tests,
        "speed": lambda: [line for model in models for line in _speed(model, overrides)],
        "training": lambda: _training(models[0], overrides),
    }
    lines, failures = _heading(), 0
    for part in parts:
        if part == "tests" and not on_gpu:
            lines += ["", "## tests", "", "Not run: they need a CUDA GPU."]
            continue
        log.info("%s", part)
        started = time.perf_counter()
        try:
            results = functions[part]()
        except Exception as error:
            log.exception("%s failed", part)
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            results, failures = [f"**Failed**: {reason}"], failures + 1
        lines += ["", f"## {part}", "", *results, "", f"{time.perf_counter() - started:.0f} s"]
    path = device_folder(environment.describe().hardware(_device()), Path(results_dir)) / SUMMARY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(lines) + f"\nwrote {path}\n")
    return min(failures, 1)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _heading() -> list[str]:
    machine = environment.describe()
    commit = "unknown" if machine.git is None else machine.git.commit[:9]
    versions = f"torch {torch.__version__}, transformers {machine.packages.get('transformers')}, commit {commit}"
    others = {True: "Other processes use it", False: "No other process uses it", None: "Other processes are unknown"}
    return [
        f"# Check of the fast path on {machine.hardware(_device())}",
        "",
        f"{versions}. {others[measurement.device_is_shared()]}. Weights are random: speed and memory only.",
    ]


def _tests() -> list[str]:
    """The GPU tests, in a process of their own."""
    root = environment.checkout()
    if root is None or not (root / "tests").is_dir() or find_spec("pytest") is None:
        return ["Not run: they need a checkout and pytest."]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", str(root / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)  # noqa: S603
    if done.returncode:
        sys.stderr.write((done.stdout + done.stderr)[-8000:])
        last = (done.stdout.strip() or done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise BenchmarkError(f"GPU tests fail: {last}.", "See the output above.")
    return [done.stdout.strip().splitlines()[-1]]


def _speed(model: ModelToMeasure, overrides: Sequence[str]) -> list[str]:
    """The speed of each way to compute a model."""
    rows = f"++dataset.train_rows={throughput.TRAIN_ROWS}"
    config = pin(compose([*model.overrides, *([rows] if torch.cuda.is_available() else []), *overrides]))
    measured = throughput.measure(config, list(model.precisions), model.options)
    write_speed(measured, Path(config.results_dir))
    heading = "| way | samples/s | kernels, ms a step | texts/s | peak memory, GB |"
    lines = [
        f"{measured.subject.title}, {measured.effective_batch} samples a step:",
        "",
        heading,
        "|---|---|---|---|---|",
    ]
    for way in measured.ways:
        name = f"{way.batching}, {way.precision}" + (", recomputed" if way.recomputes else "")
        kernels = "" if way.kernel_seconds_per_step is None else f"{1000 * way.kernel_seconds_per_step:.1f}"
        lines.append(
            f"| {name} | {way.samples_per_second:.1f} | {kernels} | {way.answered_per_second:.0f} "
            f"| {_peak_gigabytes(way):.1f} |"
        )
    return [*lines, "", *throughput.ratios(measured).splitlines(), ""]


def _peak_gigabytes(way: Way) -> float:
    return way.peak_memory.get("device", way.peak_memory["host"]) / 1e9


def _training(model: ModelToMeasure, overrides: Sequence[str]) -> list[str]:
    """Train a model by its whole recipe, predict the test split, and write the figures."""
    config = pin(compose([*model.overrides, *overrides]))
    measured = _whole_training(config)
    write_speed(measured, Path(config.results_dir), "-training")
    (way,), steps = measured.ways, measured.steps
    seconds, peak = way.training_seconds, _peak_gigabytes(way)
    assert steps is not None
    assert seconds is not None
    graphs = f"{way.graph_steps} as CUDA graphs" if way.graph_steps else "no CUDA graphs"
    return [
        f"{measured.subject.title}: {steps} steps of {measured.effective_batch} samples ({graphs}).",
        "",
        f"- Training: {seconds:.1f} s, {1000 * seconds / steps:.1f} ms a step, at most {peak:.1f} GB.",
        f"- Prediction: {way.answered_per_second:.0f} texts/s.",
    ]


def _whole_training(config: RunConfig) -> Throughput:
    """The figures of a training by the whole recipe and of the prediction of the test split."""
    shared = measurement.device_is_shared()
    splits = load(config.dataset)
    way = throughput.Measurements(config, measurable(config.model))
    measurement.reset_peak_memory()
    model, report = throughput.train_copy(way, splits.train, splits, config.recipe.max_steps, config.recipe.epochs)
    way.peak_memory.append(measurement.peak_memory())
    way.fits.append(report)
    for _ in range(2):
        started = time.perf_counter()
        model.predict(splits.test.texts)
        way.answered_per_second.append(len(splits.test) / (time.perf_counter() - started))
    fastest = max(way.answered_per_second)  # the first prediction prepares kernels
    return Throughput(
        subject=subject_of(config.spec, report, shared),
        rows=Rows(config.dataset.name, len(splits.train), len(splits.test), splits.whole_train_rows),
        effective_batch=config.recipe.effective_batch,
        steps=report.steps,
        ways=(replace(throughput.figures(way), answered_per_second=fastest),),
    )
