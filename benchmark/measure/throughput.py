"""How fast a model trains and predicts, against its references. `benchmark.speed` says what the references are."""

import gc
import logging
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from benchmark.config import RunConfig
from benchmark.data.load import Splits, load
from benchmark.data.row_choice import first_rows, select
from benchmark.interface import Examples, FitReport, is_gpu
from benchmark.measure.flops import flop_counter, linear_flops, matrix_peak
from benchmark.measure.measurable import Measurable, measurable
from benchmark.measure.subject import subject_of
from benchmark.results.speed import Epoch, Growth, Rows, Throughput, Way
from benchmark.run import measurement
from benchmark.run.context import fit_unsaved

log = logging.getLogger(__name__)

TRAIN_ROWS = 2000


@dataclass(frozen=True)
class SpeedOptions:
    """How much is measured: optimiser steps and texts per measurement, and measurements of each way."""

    steps: int = 8
    texts: int = 300
    rounds: int = 2


@dataclass(eq=False)
class Measurements:
    """What was measured of one way to compute the model, with one entry per round in each list."""

    config: RunConfig
    model: Measurable  # not trained; each measurement trains a copy
    frozen: dict[str, object] = field(default_factory=dict)  # weights that the ways share, by precision
    device: str = "cpu"
    flops: float | None = None  # of the linear layers per sample, as executed
    fits: list[FitReport] = field(default_factory=list)
    answered_per_second: list[float] = field(default_factory=list)  # texts
    peak_memory: list[dict[str, int]] = field(default_factory=list)
    kernel_seconds: float | None = None  # of a GPU, per optimiser step
    gradient_difference: float | None = None  # from those of padded batches

    @property
    def samples_per_second(self) -> list[float]:
        """Training throughput, without the time that prepared CUDA graphs."""
        return [fit.samples_seen / _seconds_without_graphs(fit) for fit in self.fits]

    @property
    def batching(self) -> str:
        """How samples form a batch, for example packed or padded."""
        return self.model.speed_comparison().batching

    @property
    def recomputes(self) -> bool:
        """Whether activations are computed again in the backward pass."""
        return self.model.speed_comparison().recomputes

    def keep_base(self, model: Measurable) -> None:
        """Keep the frozen weights of a model that was fitted, for the next fit in the same precision."""
        if (base := model.speed_comparison().take_base()) is not None:
            self.frozen[model.precision] = base


def ratios(measured: Throughput) -> str:
    """How much faster the model is than its references in the same precision, one line per pair."""
    lines = []
    for fast in (way for way in measured.ways if way.gradient_difference is not None):
        for reference in measured.ways:
            if reference.precision == fast.precision and reference.gradient_difference is None:
                assert fast.answered_per_second is not None
                assert reference.answered_per_second is not None
                name = reference.batching + (", activations recomputed" if reference.recomputes else "")
                lines.append(
                    f"{fast.batching} in {fast.precision}: "
                    f"trains {fast.samples_per_second / reference.samples_per_second:.2f} times as fast as {name}, "
                    f"predicts {fast.answered_per_second / reference.answered_per_second:.2f} times as fast; "
                    f"gradients differ by {fast.gradient_difference:.1g} at most"
                )
    return "\n".join(lines)


def measure(config: RunConfig, precisions: list[str] | None, options: SpeedOptions) -> Throughput:
    """All figures of one model on this machine.

    `config` is pinned.
    """
    shared = measurement.device_is_shared()
    model = measurable(config.model)
    comparison = model.speed_comparison()
    frozen: dict[str, object] = {}
    fast_ways = [comparison.in_precision(precision) for precision in precisions or comparison.precisions()]
    ways = [
        Measurements(config, way, frozen) for fast in fast_ways for way in (fast, *fast.speed_comparison().references())
    ]
    splits = load(config.dataset)
    for way in ways:
        _count_flops(way, splits, min(options.steps, 4))
    peaks = _measure_rounds(ways, splits, options)
    for way in ways:
        way.kernel_seconds = _kernel_seconds(way, splits, options.steps)
        if any(way.model is fast for fast in fast_ways):
            way.gradient_difference = _gradient_difference(way, splits)
    return Throughput(
        subject=subject_of(config.spec, ways[0].fits[-1], shared),
        rows=Rows(config.dataset.name, len(splits.train), len(_texts(splits, options)), splits.whole_train_rows),
        effective_batch=config.recipe.effective_batch,
        plain_batch=config.recipe.batch_size,
        steps=options.steps,
        rounds=options.rounds,
        matrix_peak_flops=peaks,
        ways=tuple(figures(way, peaks[way.model.precision]) for way in ways),
        growth=_growth(ways[0], splits),
    )


def train_copy(
    way: Measurements, rows: Examples, splits: Splits, max_steps: int | None, epochs: float = 1.0
) -> tuple[Measurable, FitReport]:
    """Train a copy of the model on `rows`; give it to `Measurements.keep_base` to use its frozen weights again."""
    gc.collect()  # the network trained before is part of a reference cycle and may fill the GPU
    model = copy(way.model)
    if (base := way.frozen.pop(model.precision, None)) is not None:
        model.speed_comparison().use_base(base)
    spec = replace(way.config.spec, recipe=replace(way.config.recipe, max_steps=max_steps, epochs=epochs))
    return model, fit_unsaved(model, spec, rows, first_rows(splits.validation, 1))


def figures(way: Measurements, peak: float | None = None) -> Way:
    """The figures of one way. Utilisation is the share of `peak`, in FLOP/s, that the linear layers reach."""
    trained = statistics.mean(way.samples_per_second)
    fit = way.fits[-1]
    inside = sum(fit.step_seconds or 0.0 for fit in way.fits) / sum(fit.training_seconds or 0.0 for fit in way.fits)
    return Way(
        batching=way.batching,
        recomputes=way.recomputes,
        precision=way.model.precision,
        attention=fit.attention,
        pass_size=fit.pass_size,
        samples_per_second=trained,
        rounds=tuple(way.samples_per_second),
        samples_seen=fit.samples_seen,
        training_seconds=fit.training_seconds,
        graph_steps=fit.graph_steps,
        graph_seconds=fit.graph_seconds,
        kernel_seconds_per_step=way.kernel_seconds,
        gradient_difference=way.gradient_difference,
        tokens_per_second=None if fit.tokens_per_sample is None else trained * fit.tokens_per_sample,
        linear_flops_per_sample=way.flops,
        utilisation=None if way.flops is None or peak is None else trained * way.flops / peak,
        outside_steps=None if fit.on_gpu else 1 - inside,  # a GPU still computes after a step
        peak_memory={kind: max(peaks[kind] for peaks in way.peak_memory) for kind in way.peak_memory[0]},
        answered_per_second=statistics.mean(way.answered_per_second),
        answered_rounds=tuple(way.answered_per_second),
    )


def _measure_rounds(ways: Sequence[Measurements], splits: Splits, options: SpeedOptions) -> dict[str, float]:
    """Measure the ways in turn; returns the fastest matrix product of each precision, in FLOP/s."""
    peaks: dict[str, float] = {}
    for _ in range(options.rounds):
        for way in ways:
            precision = way.model.precision
            peaks[precision] = max(peaks.get(precision, 0.0), matrix_peak(precision, way.device))
            _measure_once(way, splits, options)
    return peaks


def _measure_once(way: Measurements, splits: Splits, options: SpeedOptions) -> None:
    """Train and predict once, and add what was measured to the lists of `way`."""
    measurement.reset_peak_memory()
    model, fit = train_copy(way, splits.train, splits, options.steps)
    way.peak_memory.append(measurement.peak_memory())
    way.fits.append(fit)
    texts = _texts(splits, options)
    started = time.perf_counter()
    model.predict(texts)
    way.answered_per_second.append(len(texts) / (time.perf_counter() - started))
    way.keep_base(model)
    log.info("%s, %s: trains on %.2f samples/s, predicts %.1f texts/s", way.batching, way.model.precision,
             way.samples_per_second[-1], way.answered_per_second[-1])  # fmt: skip


def _texts(splits: Splits, options: SpeedOptions) -> tuple[str, ...]:
    return splits.test.texts[: options.texts]


def _growth(way: Measurements, splits: Splits) -> Growth:
    """Seconds of one epoch over 1, 2 and 4 times the rows, and with texts 1, 2 and 4 times as long."""
    fewest = max(1, min(4 * way.config.recipe.effective_batch, len(splits.train) // 4))

    def epoch(times_rows: int, times_text: int) -> Epoch:
        rows = first_rows(splits.train, fewest * times_rows)
        longer = replace(rows, texts=tuple(" ".join([text] * times_text) for text in rows.texts))
        model, fit = train_copy(way, longer, splits, max_steps=None)
        way.keep_base(model)
        return Epoch(len(rows), fit.tokens_per_sample, _seconds_without_graphs(fit))

    return Growth(tuple(epoch(times, 1) for times in (1, 2, 4)), tuple(epoch(1, times) for times in (1, 2, 4)))


def _count_flops(way: Measurements, splits: Splits, steps: int) -> None:
    """Set the way's FLOPs and device. The training also warms up caches."""
    with nullcontext() if way.recomputes else flop_counter() as counter:  # which cannot follow such a backward pass
        model, fit = train_copy(way, splits.train, splits, steps)
    way.keep_base(model)
    way.flops = None if counter is None else linear_flops(counter.get_flop_counts()) / fit.samples_seen
    way.device = fit.device


def _kernel_seconds(way: Measurements, splits: Splits, steps: int) -> float | None:
    """Seconds of GPU kernels per step of a full batch: what doubling the steps adds.

    The rows have the median number of words. The first are repeated until every batch is full.
    """
    if not is_gpu(way.device):
        return None
    words = np.array([len(text.split()) for text in splits.train.texts])
    median = np.flatnonzero(words == np.percentile(words, 50, method="lower"))
    batch = way.config.recipe.effective_batch
    rows = select(splits.train, np.resize(median, -(-len(median) // batch) * batch))
    return (_profile_kernels(way, rows, splits, 2 * steps) - _profile_kernels(way, rows, splits, steps)) / steps


def _profile_kernels(way: Measurements, rows: Examples, splits: Splits, steps: int) -> float:
    """Seconds of GPU kernels in a training of so many steps."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        model, _ = train_copy(way, rows, splits, steps)
        torch.cuda.synchronize()
    way.keep_base(model)
    return float(sum(event.self_device_time_total for event in profiled.key_averages())) / 1e6


def _gradient_difference(way: Measurements, splits: Splits) -> float:
    """`SpeedComparison.gradient_difference` on one batch, after two training steps."""
    model, _ = train_copy(way, splits.train, splits, 2)
    difference = model.speed_comparison().gradient_difference(
        first_rows(splits.train, way.config.recipe.effective_batch)
    )
    way.keep_base(model)
    return difference


def _seconds_without_graphs(fit: FitReport) -> float:
    """Seconds of training without the seconds that prepared CUDA graphs."""
    assert fit.training_seconds is not None
    return fit.training_seconds - (fit.graph_seconds or 0.0)
