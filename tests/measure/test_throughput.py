"""Speed is measured by training tiny models."""

import gc
import json
import logging
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories import FIT, data_report, examples
from torch.utils.flop_counter import FlopCounterMode

from baselines.compute.hardware import has_bf16_kernels
from benchmark import speed as command
from benchmark.config import RunConfig
from benchmark.configuration.compose import compose
from benchmark.data.load import Splits, load
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, WeightSource
from benchmark.measure import gpu_check, throughput
from benchmark.measure.flops import flop_counter, linear_flops
from benchmark.measure.measurable import measurable
from benchmark.measure.subject import subject_of
from benchmark.results.speed import Rows, Throughput, read_speeds, write_speed

FEW_ROWS = ["dataset=synthetic", "dataset.synthetic.train=400", "dataset.synthetic.validation=6"]


def a_way(model: str) -> throughput.Measurements:
    config = compose([f"model={model}"])
    return throughput.Measurements(config, measurable(config.model))


@pytest.mark.slow
def test_both_ways_do_the_same_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--steps", "2", "--texts", "30", "--rounds", "2", f"results_dir={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["speed", "model=tiny_llama", *FEW_ROWS, *options])
    command.main()
    [path] = (tmp_path / "speed").glob("*/tiny_llama-random.json")
    measured = json.loads(path.read_text())
    ratio = measured["ways"][0]["samples_per_second"] / measured["ways"][1]["samples_per_second"]
    assert f"packed in fp32: trains {ratio:.2f} times as fast as padded" in capsys.readouterr().out
    bf16 = ["bf16"] if torch.cuda.is_available() or has_bf16_kernels() else []
    assert [(way["batching"], way["recomputes"], way["precision"]) for way in measured["ways"]] == [
        (batching, recomputes, precision)
        for precision in ("fp32", *bf16)
        for batching, recomputes in (("packed", False), ("padded", False), ("padded", True))
    ]
    packed, padded, recomputing = measured["ways"][:3]
    assert packed["gradient_difference"] < 1e-4
    assert (padded["gradient_difference"], recomputing["utilisation"]) == (None, None)
    assert (packed["graph_steps"], packed["kernel_seconds_per_step"]) == (None, None)  # on a CPU
    assert (packed["pass_size"], padded["pass_size"]) == (20, 5)
    assert packed["linear_flops_per_sample"] < padded["linear_flops_per_sample"]
    assert all(len(way["rounds"]) == 2 for way in measured["ways"])
    assert all(0 < way["utilisation"] < 1 for way in (packed, padded))
    rows, texts = measured["growth"]["rows"], measured["growth"]["text"]
    assert [point["rows"] for point in rows] == [80, 160, 320]
    assert texts[2]["tokens_per_sample"] > texts[1]["tokens_per_sample"] > texts[0]["tokens_per_sample"]
    assert measured["rows"] == {"dataset": "synthetic", "train": 400, "dataset_train": 400, "answered": 30}
    assert measured["environment"]["device_shared"] is not None or torch.cuda.is_available()
    assert (measured["effective_batch"], measured["plain_batch"], measured["pretrained"]) == (20, 5, False)
    for way in (packed, padded):
        assert way["samples_per_second"] == pytest.approx(sum(way["rounds"]) / 2)
        assert way["answered_per_second"] == pytest.approx(sum(way["answered_rounds"]) / 2)


@pytest.mark.parametrize(
    ("weights", "pretrained"),
    [
        (WeightSource("hub"), True),
        (WeightSource("hub", endpoint="https://mirror.example"), False),
        (WeightSource("random"), False),
    ],
)
def test_only_the_models_own_weights_count_as_pretrained(weights: WeightSource, pretrained: bool) -> None:
    subject = subject_of(compose(["model=tiny_bert"]).spec, replace(FIT, weights=weights), False)
    assert subject.pretrained is pretrained


def test_only_products_of_two_matrices_count_as_linear() -> None:
    with FlopCounterMode(display=False) as counter:
        torch.ones(4, 5) @ torch.ones(5, 6)
        torch.bmm(torch.ones(2, 3, 4), torch.ones(2, 4, 5))
    assert linear_flops(counter.get_flop_counts()) == 2 * 4 * 5 * 6


@pytest.mark.parametrize(("device", "outside"), [("cpu", 0.25), ("cuda:0", None)])
def test_time_outside_steps_is_known_only_on_a_cpu(device: str, outside: float | None) -> None:
    fit = replace(FIT, device=device, training_seconds=8.0, step_seconds=6.0, tokens_per_sample=20.0)
    way = replace(a_way("tiny_bert"), fits=[fit], answered_per_second=[1.0], peak_memory=[{"host": 1}])
    assert throughput.figures(way, peak=1.0).outside_steps == outside


@pytest.mark.parametrize(
    ("overrides", "named"),
    [(["model=majority"], "model=majority"), (["model=tiny_llama", "model.adapter=mine"], "model.adapter")],
)
def test_a_model_that_trains_nothing_is_refused(overrides: list[str], named: str) -> None:
    with pytest.raises(BenchmarkError) as error:
        throughput.measure(compose([*overrides, *FEW_ROWS]), None, throughput.SpeedOptions(1, 1, 1))
    assert named in error.value.problem
    assert error.value.fix is not None


@pytest.mark.slow
@pytest.mark.parametrize(("train_rows", "grown"), [(30, [7, 14, 28]), (3, [1, 2, 3])])
def test_growth_is_measured_on_few_rows_too(train_rows: int, grown: list[int]) -> None:
    config = compose(["model=tiny_bert", "dataset=synthetic", f"dataset.train_rows={train_rows}"])
    growth = throughput._growth(throughput.Measurements(config, measurable(config.model)), load(config.dataset))
    assert [epoch.rows for epoch in growth.rows] == grown
    assert [epoch.rows for epoch in growth.text] == grown[:1] * 3


def test_an_unknown_length_is_not_written_as_0(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = replace(FIT, tokens_per_sample=None)  # of a model that is not the benchmark's
    monkeypatch.setattr(throughput, "train_copy", lambda way, *_, **__: (way.model, fit))
    monkeypatch.setattr(throughput.Measurements, "keep_base", lambda *_: None)
    way = replace(a_way("tiny_bert"), fits=[replace(fit, step_seconds=1.0)], answered_per_second=[1.0])
    growth = throughput._growth(way, load(compose(["dataset=synthetic", "model=tiny_bert"]).dataset))
    assert {epoch.tokens_per_sample for epoch in (*growth.rows, *growth.text)} == {None}
    assert throughput.figures(replace(way, peak_memory=[{"host": 1}]), peak=1.0).tokens_per_second is None


@pytest.mark.parametrize("words", ["{} {}", "{} a=b {}", "a=b {} {}", "{} {} a=b"])
def test_overrides_may_follow_an_option_with_several_values(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for option, values in (("--precisions", "bf16 fp32"), ("--check", "speed training"), ("--check", "")):
        monkeypatch.setattr(sys, "argv", ["speed", *words.format(option, values).split()])
        arguments = command._arguments()
        assert arguments.overrides == (["a=b"] if "a=b" in words else [])
        assert getattr(arguments, option[2:]) == values.split()


@pytest.mark.parametrize("words", ["--precisions fp8", "--check fast", "--check a=b fast"])
def test_unknown_values_of_options_are_refused(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", *words.split()])
    with pytest.raises(SystemExit):
        command._arguments()
    assert words.split()[-1] in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
@pytest.mark.parametrize("option", ["--steps", "--texts", "--rounds"])
def test_numbers_of_measurements_below_one_are_refused(
    option: str, number: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", "model=tiny_bert", f"{option}={number}"])
    with pytest.raises(SystemExit):
        command.main()
    assert f"{option}: must be a whole number of 1 or more" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_found_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["speed", "model=minilm", "--results-dir", f"{tmp_path}/file/results"])
    monkeypatch.setattr(throughput, "measure", lambda *_: pytest.fail("it measured first"))
    with pytest.raises(SystemExit, match="cannot be written"):
        command.main()


def test_a_product_added_in_place_counts_as_one() -> None:
    with (counter := flop_counter()):
        torch.zeros(4, 6).addmm_(torch.ones(4, 5), torch.ones(5, 6))
    assert linear_flops(counter.get_flop_counts()) == 2 * 4 * 5 * 6


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=tiny_bert"], {"batching": "padded", "prediction_batch_size": 64}),
        (
            ["model=tiny_llama"],
            {"batching": "padded", "readout": "generate", "prediction_batch_size": 8, "max_new_tokens": 8},
        ),
        (["model=tiny_llama", "model.readout=generate"], {"prediction_batch_size": 64, "max_new_tokens": 8}),
        (["model=tiny_llama_head"], {"batching": "padded", "readout": "head", "prediction_batch_size": 64}),
    ],
)
def test_references_are_padded_and_generate_labels(overrides: list[str], expected: dict[str, object]) -> None:
    model = measurable(compose(overrides).model)
    comparison = model.speed_comparison()
    reference, *_ = comparison.references()
    assert {name: getattr(getattr(reference, name), "name", getattr(reference, name)) for name in expected} == expected
    assert (reference.precision, reference.describe().parameters) == (model.precision, model.describe().parameters)
    assert comparison.in_precision("bf16").precision == "bf16"
    assert comparison.batching == "packed"  # the model itself is not changed


def test_the_precision_of_the_configuration_is_measured_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, expected in ((True, ["fp32", "bf16"]), (False, ["fp32"])):
        monkeypatch.setattr("baselines.compute.hardware.has_bf16_kernels", lambda fast=fast: fast or None)
        if not torch.cuda.is_available():
            assert measurable(compose(["model=tiny_bert"]).model).speed_comparison().precisions() == expected
    bf16 = compose(["model=tiny_bert", "model.precision=bf16"]).model
    assert measurable(bf16).speed_comparison().precisions() == ["bf16"]


def test_a_measured_network_is_freed_before_the_next() -> None:
    config = compose(["model=tiny_llama", *FEW_ROWS])
    splits = load(config.dataset)
    gc.disable()
    try:
        way = throughput.Measurements(config, measurable(config.model))
        before, _ = throughput.train_copy(way, splits.train, splits, max_steps=1)
        network = weakref.ref(before.network)  # type: ignore[attr-defined]
        del before
        throughput.train_copy(way, splits.train, splits, max_steps=1)
        assert network() is None
    finally:
        gc.enable()


def test_graphs_are_prepared_outside_the_measured_time() -> None:
    way = a_way("tiny_bert")
    way.fits = [replace(FIT, training_seconds=8.0, graph_seconds=6.0, samples_seen=100)]
    assert way.samples_per_second == [50.0]


def test_ways_of_one_precision_share_frozen_weights() -> None:
    config = compose(["model=tiny_llama", *FEW_ROWS])
    way, splits = throughput.Measurements(config, measurable(config.model)), load(config.dataset)
    model, _ = throughput.train_copy(way, splits.train, splits, 1)
    before = {name: p.clone() for name, p in model.network.named_parameters() if not p.requires_grad}
    way.keep_base(model)
    assert list(way.frozen) == ["fp32"]
    reference = throughput.Measurements(config, way.model.speed_comparison().references()[0], way.frozen)
    again, _ = throughput.train_copy(reference, splits.train, splits, 1)
    after = {name: p for name, p in again.network.named_parameters() if not p.requires_grad}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all("forward" not in vars(layer) for layer in again.network.modules())


@pytest.mark.slow
def test_the_check_runs_to_its_end_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", f"results_dir={tmp_path}", "--check"])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 0
    names = sorted(path.name for path in (tmp_path / "speed").glob("*/*"))
    assert names == ["check.md", "tiny_bert-random.json", "tiny_llama-random-training.json", "tiny_llama-random.json"]
    [summary] = (tmp_path / "speed").glob("*/check.md")
    assert "Not run: they need a CUDA GPU." in summary.read_text()
    assert "Failed" not in summary.read_text()


def test_a_whole_training_states_its_batching_and_the_samples_of_smaller_last_batches(tmp_path: Path) -> None:
    config = compose(
        ["model=tiny_bert", "model.batching=padded", *FEW_ROWS, "dataset.train_rows=30", "recipe.epochs=2"]
    )
    measured = gpu_check._whole_training(config)
    assert measured.rows == Rows("synthetic", train=30, answered=300, dataset_train=400)
    write_speed(measured, tmp_path, "-training")
    (read,) = read_speeds(tmp_path)
    assert read == measured
    assert isinstance(read, Throughput)
    (way,) = read.ways
    assert (way.batching, read.steps, way.samples_seen) == ("padded", 4, 60)
    assert way.training_seconds is not None
    assert way.samples_per_second == 60 / way.training_seconds
    assert way.answered_per_second == max(way.answered_rounds)


def test_the_check_says_which_part_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_check.log.setLevel(logging.WARNING)
    monkeypatch.setattr(gpu_check, "check", lambda *_: int(not gpu_check.log.isEnabledFor(logging.INFO)))
    monkeypatch.setattr(sys, "argv", ["speed", "--check"])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 0


@pytest.mark.parametrize(("rows", "trained"), [(1, 20), (20, 20), (21, 40)])
def test_kernels_are_timed_on_full_batches_of_rows_of_the_lower_median_length(
    rows: int, trained: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiled: list[tuple[str, ...]] = []

    def profile(way: throughput.Measurements, rows: Examples, *_: object) -> float:
        profiled.append(rows.texts)
        return 1.0

    monkeypatch.setattr(throughput, "_profile_kernels", profile)
    train = replace(examples([0, 1] * rows), texts=("word " * 12, "word " * 8) * rows)
    way = replace(a_way("tiny_bert"), device="cuda:0")
    assert way.config.recipe.effective_batch == 20
    throughput._kernel_seconds(way, Splits(train, train, train, data_report(), whole_train_rows=len(train)), steps=1)
    assert profiled == [("word " * 8,) * trained] * 2


def test_the_check_trains_with_the_labels_that_the_data_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("text,label\nfine,good\nawful,bad\n", encoding="utf-8")
    asked: list[RunConfig] = []

    def stopped(config: RunConfig, *_: object) -> None:
        asked.append(config)
        raise BenchmarkError("stopped", "")

    monkeypatch.setattr(gpu_check, "ON_CPU", gpu_check.ON_GPU[:1])
    monkeypatch.setattr(gpu_check, "ON_GPU", gpu_check.ON_GPU[:1])
    monkeypatch.setattr(throughput, "measure", stopped)
    monkeypatch.setattr(gpu_check, "_whole_training", stopped)
    overrides = ["dataset=hub", "dataset.hub.id=a/b", f"dataset.path={tmp_path}", f"results_dir={tmp_path}"]
    assert gpu_check.check(overrides, ["speed", "training"]) == 1
    assert [config.dataset.labels for config in asked] == [["bad", "good"]] * 2


def test_a_part_of_the_check_that_fails_is_said_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> list[str]:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(gpu_check, "_speed", broken)
    monkeypatch.setattr(gpu_check, "_training", lambda *_: ["trained"])
    assert gpu_check.check([f"results_dir={tmp_path}"], ["speed", "training"]) == 1
    shown = capsys.readouterr().out
    assert "**Failed**: no kernel image" in shown
    assert "trained" in shown
