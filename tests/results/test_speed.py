"""Measurements of speed are read from files of any age, and what is no measurement is named with its file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import SUBJECT, a_latency, a_throughput

from benchmark.errors import BenchmarkError
from benchmark.results.speed import Epoch, Growth, Latency, Throughput, as_json, read_speeds, write_speed

WAY: dict[str, Any] = {
    "batching": "packed",
    "precision": "fp32",
    "samples_per_second": 30.0,
    "answered_per_second": None,
}
WHOLE_TRAINING: dict[str, Any] = {
    **SUBJECT,
    "rows": {"dataset": "emotion", "train": 16_000, "predicted": 2000},
    "effective_batch": 20,
    "precision": "bf16",
    "steps": 800,
    "graph_steps": 800,
    "training_seconds": 60.0,
    "graph_seconds": 20.0,
    "predicted_per_second": [300.0, 700.0],
}


def read_back(folder: Path, content: str) -> Throughput | Latency:
    file = folder / "speed" / "a-machine" / "minilm.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    (measured,) = read_speeds(folder)
    return measured


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ways = [WAY | {"rounds": [20.0, 40.0], "peak_memory": {"host": 5}, "answered_per_second": 3}]
    throughput = a_throughput(ways=ways, growth={"rows": [{"rows": 3, "tokens_per_sample": None, "seconds": 1.5}]})
    assert throughput.growth == Growth(rows=(Epoch(3, None, 1.5),))
    assert throughput.ways[0].rounds == (20.0, 40.0)
    random = replace(throughput, subject=replace(throughput.subject, pretrained=False))
    written = [
        write_speed(one, tmp_path, suffix)
        for one, suffix in ((throughput, ""), (a_latency(), "-latency"), (random, "-training"))
    ]
    names = [str(path.relative_to(tmp_path / "speed/a-gpu")) for path in written]
    assert names == ["minilm.json", "minilm-latency.json", "minilm-random-training.json"]
    assert read_speeds(tmp_path) == [a_latency(), random, throughput]
    assert json.loads(written[0].read_text())["device"] == "A GPU"


def test_a_whole_training_of_an_older_file_counts_without_the_seconds_that_prepared_its_graphs() -> None:
    (way,) = Throughput.from_json(WHOLE_TRAINING).ways
    assert (way.samples_per_second, way.answered_per_second) == (400.0, 700.0)
    assert (way.batching, way.graph_steps, way.title) == ("packed", 800, "packed, CUDA graphs")
    (way,) = Throughput.from_json(WHOLE_TRAINING | {"batching": "padded", "samples_seen": 15_000}).ways
    assert (way.batching, way.samples_per_second) == ("padded", 375.0)


def test_the_environment_of_an_older_file_has_its_present_names() -> None:
    read = a_latency(environment={"divided_weights": True, "processes": 2, "git": {"commit": "abc", "modified": True}})
    machine = read.subject.environment
    assert (machine.sharded_weights, machine.processes, machine.git and machine.git.modified) == (True, 2, True)


@pytest.mark.parametrize(("shared", "alone"), [(True, False), (False, True), (None, True)])
def test_a_device_that_other_jobs_are_known_to_use_is_shared(shared: bool | None, alone: bool) -> None:
    assert a_latency(environment={"device_shared": shared}).subject.device_is_exclusive is alone


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("{}", "model is missing"),
        ("[]", "it is not an object"),
        ("3", "it is not an object"),
        (json.dumps(SUBJECT), "rows is missing"),
        (json.dumps(WHOLE_TRAINING | {"training_seconds": "60"}), "training_seconds is '60'"),
        (json.dumps(WHOLE_TRAINING | {"rows": None}), "rows is not an object"),
        (json.dumps(SUBJECT | {"latency": {}}), "precision is missing"),
        (json.dumps(as_json(a_latency()) | {"latency": 3}), "latency is not an object"),
        (json.dumps(as_json(a_latency()) | {"pretrained": "yes"}), "pretrained is 'yes'"),
        (json.dumps(as_json(a_throughput()) | {"environment": []}), "environment is not an object"),
        (json.dumps(as_json(a_throughput()) | {"ways": 3}), "ways is 3"),
        (json.dumps(as_json(a_throughput()) | {"ways": [WAY, WAY | {"precision": 16}]}), r"ways\[1\].precision is 16"),
        (json.dumps(as_json(a_throughput()) | {"ways": [{"batching": "packed"}]}), r"ways\[0\].precision is missing"),
        (json.dumps(as_json(a_throughput()) | {"effective_batch": True}), "effective_batch is True"),
    ],
)
def test_a_file_that_is_no_measurement_is_named_with_what_is_wrong(content: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=rf"speed/a-machine/minilm.json .*{reason}") as error:
        read_back(tmp_path, content)
    assert error.value.fix is not None
