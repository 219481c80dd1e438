"""Speed is measured on real trainings of tiny models, and tabulated as ratios."""

import gc
import json
import re
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories import FIT
from torch.utils.flop_counter import FlopCounterMode

from baselines.training.hardware import has_bf16_kernels
from benchmark.analysis.evidence import Evidence, read_evidence
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.report.tables import TABLES
from benchmark.report.wording import markdown
from benchmark.run import speed
from benchmark.run.compose import composed

FEW_ROWS = ["dataset=synthetic", "dataset.synthetic.train=400", "dataset.synthetic.validation=6"]


def test_both_ways_do_the_same_work_and_are_put_in_relation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--steps", "2", "--texts", "30", "--rounds", "2", "--results-dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["speed", "model=tiny_llama", "model.max_new_tokens=8", *FEW_ROWS, *options])
    speed.main()
    [path] = (tmp_path / "speed").glob("*/tiny_llama-random.json")
    measured = json.loads(path.read_text())
    halved = ["bf16"] if torch.cuda.is_available() or has_bf16_kernels() else []
    assert [(way["batching"], way["precision"]) for way in measured["ways"]] == [
        (batching, precision) for precision in ("fp32", *halved) for batching in ("packed", "padded")
    ]
    packed, padded = measured["ways"][:2]
    assert (packed["pass_size"], padded["pass_size"]) == (20, 5)
    assert packed["linear_flops_per_sample"] < padded["linear_flops_per_sample"]
    assert all(len(way["rounds"]) == 2 and 0 < way["utilisation"] < 1 for way in measured["ways"])
    rows, texts = measured["growth"]["rows"], measured["growth"]["text"]
    assert [point["rows"] for point in rows] == [80, 160, 320]
    assert texts[2]["tokens_per_sample"] > texts[1]["tokens_per_sample"] > texts[0]["tokens_per_sample"]
    table = TABLES["speed"](read_evidence(tmp_path))
    assert table["training_ratio"][1] == table["answering_ratio"][1] == 1.0
    assert table["training_ratio"][0] == packed["samples_per_second"] / padded["samples_per_second"]
    assert "random weights" in table["model"][0]
    assert re.search(r"\| padded +\| fp32", markdown(table))


def test_only_products_of_two_matrices_count_as_linear() -> None:
    with FlopCounterMode(display=False) as counter:
        torch.ones(4, 5) @ torch.ones(5, 6)
        torch.bmm(torch.ones(2, 3, 4), torch.ones(2, 4, 5))
    assert speed._linear_flops(counter.get_flop_counts()) == 2 * 4 * 5 * 6


@pytest.mark.parametrize(("device", "outside"), [("cpu", 0.25), ("cuda:0", None)])
def test_time_outside_steps_is_stated_where_a_step_waits_for_its_end(device: str, outside: float | None) -> None:
    fit = replace(FIT, device=device, training_seconds=8.0, step_seconds=6.0, tokens_per_sample=20.0)
    way = speed.Way(composed(["model=tiny_bert"]), [fit], [1.0], [{"host": 1}])
    assert speed._figures(way, flops=1.0, peak=1.0)["outside_steps"] == outside


def test_a_model_that_is_not_fine_tuned_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="majority trains nothing here"):
        speed.measure(["model=majority", *FEW_ROWS], None, steps=1, texts=1, rounds=1)


def test_nothing_measured_is_an_empty_table() -> None:
    assert TABLES["speed"](Evidence([], {})).empty


def test_a_broken_measurement_is_named(tmp_path: Path) -> None:
    (tmp_path / "speed/cpu").mkdir(parents=True)
    (tmp_path / "speed/cpu/minilm.json").write_text("{")
    with pytest.raises(BenchmarkError, match=r"minilm.json is not JSON .*; restore it or measure again"):
        read_evidence(tmp_path)


def test_growth_is_measured_on_however_few_rows_there_are() -> None:
    config = composed(["model=tiny_bert", "dataset=synthetic", "dataset.synthetic.train=30"])
    growth = speed._growth(speed.Way(config), load(config.dataset))
    assert [point["rows"] for point in growth["rows"]] == [7, 14, 28]
    assert [point["rows"] for point in growth["text"]] == [7, 7, 7]


@pytest.mark.parametrize("option", ["--steps", "--texts", "--rounds"])
def test_nothing_can_be_measured_no_times(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", "model=tiny_bert", option, "0"])
    with pytest.raises(SystemExit):
        speed.main()
    assert f"{option}: must be at least 1" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_found_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["speed", "model=minilm", "--results-dir", f"{tmp_path}/file/results"])
    monkeypatch.setattr(speed, "measure", lambda *_: pytest.fail("measured first"))
    with pytest.raises(SystemExit, match="cannot be written"):
        speed.main()


def test_a_product_added_in_place_counts_as_one() -> None:
    with (counter := speed._flop_counter()):
        torch.zeros(4, 6).addmm_(torch.ones(4, 5), torch.ones(5, 6))
    assert speed._linear_flops(counter.get_flop_counts()) == 2 * 4 * 5 * 6


def test_the_plain_way_of_a_head_is_a_head() -> None:
    for model, readout in (("tiny_llama", "generate"), ("tiny_llama_head", "head")):
        assert speed._way([f"model={model}"], "padded", "fp32").config.model.parameters["readout"] == readout


def test_a_network_that_was_measured_makes_room_for_the_next() -> None:
    config = composed(["model=tiny_llama", *FEW_ROWS])
    splits = load(config.dataset)
    gc.disable()
    try:
        before, _ = speed._fit(config, splits.train, splits, max_steps=1)
        network = weakref.ref(before.network)  # type: ignore[attr-defined]
        del before
        speed._fit(config, splits.train, splits, max_steps=1)
        assert network() is None
    finally:
        gc.enable()
