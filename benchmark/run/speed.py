"""`python -m benchmark.speed model=smollm2_lora`: how fast a model trains and answers, against the plain way.

The plain way is padded batches of the recipe's size and, for a decoder, free generation. Both ways take
turns in one process on the same rows, so that their ratio holds on a machine that others use too.
"""

import argparse
import gc
import json
import logging
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig, build_classifier
from benchmark.data.load import Splits, first, load
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, Examples, FitContext, FitReport
from benchmark.results import environment
from benchmark.results.store import replacing
from benchmark.run.compose import add_config_dir, composed, with_config_dir
from benchmark.terminal import plain_endings

log = logging.getLogger(__name__)

GENERATION = ["model.readout=generate", "model.prediction_batch_size=8", "model.max_new_tokens=4"]
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # torch's names


@dataclass(eq=False)
class Way:
    """A configuration under measurement, and one figure a round of each kind."""

    config: RunConfig
    fits: list[FitReport] = field(default_factory=list)
    answering: list[float] = field(default_factory=list)  # texts a second
    peak_memory: list[dict[str, int]] = field(default_factory=list)

    @property
    def batching(self) -> str:
        return str(self.config.model.parameters["batching"])

    @property
    def precision(self) -> str:
        return str(self.config.model.parameters["precision"])

    @property
    def training(self) -> list[float]:
        """Samples a second."""
        return [fit.samples_seen / _seconds(fit) for fit in self.fits]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.speed", description=__doc__)
    parser.add_argument(
        "overrides", nargs="*", help="as for a run: model=minilm model.weights.source=random dataset.path=DIR"
    )
    add_config_dir(parser)
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=list(DTYPES),
        help="default: the model's own, and bf16 where there are kernels for it",
    )
    parser.add_argument("--steps", type=_positive, default=8, help="optimiser steps a measurement (default: 8)")
    parser.add_argument("--texts", type=_positive, default=300, help="test texts answered a measurement (default: 300)")
    parser.add_argument("--rounds", type=_positive, default=2, help="measurements of each way (default: 2)")
    parser.add_argument("--results-dir", type=Path, default=Path("results"), help="default: results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    with plain_endings():
        overrides = with_config_dir(arguments.overrides, arguments.config_dir)
        if reason := environment.why_unwritable(arguments.results_dir):
            raise BenchmarkError(f"--results-dir {arguments.results_dir} cannot be written ({reason}); name another.")
        document = measure(overrides, arguments.precisions, arguments.steps, arguments.texts, arguments.rounds)
    name = document["model"] + ("" if document["pretrained"] else "-random")  # the same work, but another's figures
    path = arguments.results_dir / "speed" / _slug(document["device"]) / f"{name}.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {path}; python -m benchmark.report shows it\n")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def measure(overrides: list[str], precisions: list[str] | None, steps: int, texts: int, rounds: int) -> dict[str, Any]:
    """All figures of one model on this machine, as JSON; see `benchmark.tables.speed` for what they mean."""
    import torch  # --help does not wait for it

    overrides = ["++dataset.train_rows=2000", *overrides]
    config = composed(overrides)
    own = config.model.parameters
    if "batching" not in own or own.get("adapter") is not None:
        raise BenchmarkError(f"{config.model.name} trains nothing here; name a model that is fine-tuned.")
    described = environment.describe()
    halved = torch.cuda.is_available() or environment.multiplies_bf16(described["vector_units"])
    chosen = precisions or list(dict.fromkeys([own["precision"], *(["bf16"] if halved else [])]))
    ways = [_way(overrides, batching, precision) for precision in chosen for batching in ("packed", "padded")]
    splits = load(config.dataset)
    counted = {}
    for way in ways:
        with (counter := _flop_counter()):  # also warms up whatever a first time costs more
            fit = _fit(way.config, splits.train, splits, steps)[1]
        counted[way] = _linear_flops(counter.get_flop_counts()) / fit.samples_seen
    peaks: dict[str, list[float]] = {precision: [] for precision in chosen}
    for number in range(rounds):
        for way in ways:
            peaks[way.precision].append(_matrix_peak(DTYPES[way.precision], on_gpu=fit.device.startswith("cuda")))
            _measure_once(way, splits, steps, texts)
            log.info(
                "round %d, %s, %s: trains %.2f samples/s, answers %.1f texts/s",
                number + 1, way.batching, way.precision, way.training[-1], way.answering[-1],
            )  # fmt: skip
    return {
        "model": config.model.name,
        "title": config.model.title,
        "recipe": config.recipe.name,
        "pretrained": own.get("weights", {}).get("source") != "random",
        "device": environment.hardware_name(described, fit.device),
        "environment": described,
        "rows": {"dataset": config.dataset.name, "train": len(splits.train), "answered": min(texts, len(splits.test))},
        "effective_batch": config.recipe.effective_batch,
        "plain_batch": config.recipe.batch_size,
        "steps": steps,
        "rounds": rounds,
        "matrix_peak_flops": {precision: max(found) for precision, found in peaks.items()},
        "ways": [_figures(way, counted[way], max(peaks[way.precision])) for way in ways],
        "growth": _growth(ways[0], splits),
    }


def _way(overrides: list[str], batching: str, precision: str) -> Way:
    changed = [*overrides, f"model.batching={batching}", f"model.precision={precision}"]
    config = composed(changed)
    if batching == "padded" and config.model.parameters.get("readout") == "labels":
        config = composed([*GENERATION, *changed])
    return Way(config)


def _fit(
    config: RunConfig, train: Examples, splits: Splits, max_steps: int | None, epochs: float = 1.0
) -> tuple[Classifier, FitReport]:
    gc.collect()  # a network that was trained before holds itself, and may fill the GPU
    classifier = build_classifier(config.model)
    recipe = replace(config.recipe, max_steps=max_steps, epochs=epochs)
    with tempfile.TemporaryDirectory() as folder:
        context = FitContext(tuple(config.dataset.labels), recipe, config.seed, Path(folder), checkpoints=False)
        return classifier, classifier.fit(train, first(splits.validation, 1), context)


def _measure_once(way: Way, splits: Splits, steps: int, texts: int) -> None:
    environment.reset_peak_memory()
    classifier, fit = _fit(way.config, splits.train, splits, steps)
    way.peak_memory.append(environment.peak_memory())
    way.fits.append(fit)
    asked = splits.test.texts[:texts]
    began = time.perf_counter()
    classifier.predict(asked)
    way.answering.append(len(asked) / (time.perf_counter() - began))


def _figures(way: Way, flops: float, peak: float) -> dict[str, Any]:
    """`flops` are those of the linear layers, a sample, as executed; utilisation is their share of `peak`."""
    trained = statistics.mean(way.training)
    fit = way.fits[-1]
    inside = sum(fit.step_seconds or 0.0 for fit in way.fits) / sum(map(_seconds, way.fits))
    return {
        "batching": way.batching,
        "precision": way.precision,
        "attention": fit.attention,
        "pass_size": fit.pass_size,
        "samples_per_second": trained,
        "rounds": way.training,
        "tokens_per_second": trained * (fit.tokens_per_sample or 0.0),
        "linear_flops_per_sample": flops,
        "utilisation": trained * flops / peak,
        "outside_steps": None if fit.device.startswith("cuda") else 1 - inside,  # a GPU is still at work there
        "peak_memory": {kind: max(peaks[kind] for peaks in way.peak_memory) for kind in way.peak_memory[0]},
        "answered_per_second": statistics.mean(way.answering),
        "answered_rounds": way.answering,
    }


def _growth(way: Way, splits: Splits) -> dict[str, list[dict[str, float]]]:
    """Seconds of one epoch over 1, 2 and 4 times the rows, and with texts 1, 2 and 4 times as long."""
    fewest = min(4 * way.config.recipe.effective_batch, len(splits.train) // 4)

    def epoch(times_rows: int, times_text: int) -> dict[str, float]:
        rows = first(splits.train, fewest * times_rows)
        longer = replace(rows, texts=tuple(" ".join([text] * times_text) for text in rows.texts))
        fit = _fit(way.config, longer, splits, max_steps=None)[1]
        return {"rows": len(rows), "tokens_per_sample": fit.tokens_per_sample or 0.0, "seconds": _seconds(fit)}

    return {"rows": [epoch(times, 1) for times in (1, 2, 4)], "text": [epoch(1, times) for times in (1, 2, 4)]}


def _flop_counter() -> Any:
    """Torch's, which by itself misses products that are added in place."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def added_product(_: Any, one: tuple[int, int], other: tuple[int, int], **__: Any) -> int:
        return 2 * one[0] * one[1] * other[1]  # of their shapes

    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: added_product})


def _linear_flops(counts: dict[str, dict[Any, int]]) -> float:
    """Products of two matrices are linear layers'; attention's are batched and left out, padding included."""
    import torch

    products = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
    return float(sum(counts["Global"].get(product, 0) for product in products))


def _matrix_peak(dtype: str, on_gpu: bool, seconds: float = 1.0) -> float:
    """FLOP/s of the best of many square products."""
    import torch

    size, device = (8192, "cuda") if on_gpu else (2048, "cpu")
    one = torch.randn(size, size, device=device).to(getattr(torch, dtype))
    taken: list[float] = []
    while sum(taken) < seconds:
        began = time.perf_counter()
        torch.mm(one, one)
        if on_gpu:
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return 2 * size**3 / min(taken)


def _seconds(fit: FitReport) -> float:
    assert fit.training_seconds is not None
    return fit.training_seconds


def _slug(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
