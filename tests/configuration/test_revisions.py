"""The hub is asked only for what is read from it. In these tests it cannot be reached, so a question is an error."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from benchmark.configuration.compose import compose
from benchmark.configuration.revisions import commit_of, pin
from benchmark.data.load import load
from benchmark.dataset_config import Synthetic
from benchmark.errors import BenchmarkError

GRAMMAR = Synthetic(train=30, validation=12, test=12, flipped_share=0.0, seed=0)


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("elsewhere", [{"path": "a folder"}, {"synthetic": GRAMMAR}])
def test_a_branch_stays_where_the_data_come_from_elsewhere(elsewhere: dict[str, Any]) -> None:
    config = compose(["model=majority", "dataset=emotion", "dataset.path=null", "dataset.hub.revision=a-branch"])
    with pytest.raises(BenchmarkError, match="'a-branch'"):
        pin(config)
    of_elsewhere = replace(config, dataset=replace(config.dataset, **elsewhere))
    assert pin(of_elsewhere) == of_elsewhere


def test_the_labels_in_an_instruction_of_the_command_line_are_written_out() -> None:
    config = compose(["model=smollm2_lora", "dataset=synthetic", 'model.instruction="Choose one of {labels}."'])
    assert pin(config).model.parameters["instruction"] == f"Choose one of {', '.join(config.dataset.labels)}."


def test_the_grammar_and_a_folder_come_before_the_hub() -> None:
    dataset = compose(["model=majority", "dataset=emotion", "dataset.path=no-such-folder", "~dataset.sha256"]).dataset
    assert dataset.hub is not None
    with pytest.raises(BenchmarkError, match="no-such-folder"):
        load(dataset)
    assert load(replace(dataset, path=None, synthetic=GRAMMAR)).report.route.startswith("generated")


def test_a_commit_that_the_hub_does_not_state_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    answer = Mock(return_value=Mock(sha=None))
    monkeypatch.setattr("benchmark.configuration.revisions.repository_info", answer)
    with pytest.raises(BenchmarkError, match="'main' of o/name"):
        commit_of("model", "o/name", "main")
    assert not list(tmp_path.rglob("main"))
    answer.return_value.sha = "c" * 40
    assert commit_of("model", "o/name", "main") == "c" * 40
    answer.return_value = None  # the hub cannot be reached
    assert commit_of("model", "o/name", "main") == "c" * 40
    (reference,) = tmp_path.rglob("main")
    reference.write_text("")  # as an interrupted write leaves it
    with pytest.raises(BenchmarkError, match="'main' of o/name"):
        commit_of("model", "o/name", "main")


@pytest.mark.parametrize("asked", [["model=minilm", "model.weights.source=hub", "model.weights.hub.revision=2024"],
                                   ["model=encoder", "model.id=o/name", "model.revision=2024"]])  # fmt: skip
def test_a_revision_of_digits_is_a_text(asked: list[str]) -> None:
    with pytest.raises(BenchmarkError, match="which commit '2024' of"):
        pin(compose(asked))


def test_weights_of_the_hub_without_a_revision_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="model.weights.hub.revision contains None"):
        pin(compose(["model=bert_base", "dataset=synthetic", "~model.weights.hub.revision"]))


@pytest.mark.parametrize("asked", [["model=minilm", "model.weights.source=hub", "model.weights.hub.revision=12345e6"],
                                   ["model=encoder", "model.id=o/name", "model.revision=12345e6"],
                                   ["model=encoder", "model.id=12e3"],
                                   ["model=encoder", "model.path=12e3"]])  # fmt: skip
def test_a_place_that_yaml_reads_as_a_float_is_refused(asked: list[str]) -> None:
    option = asked[-1].partition("=")[0]
    with pytest.raises(BenchmarkError, match=f"{option} contains .* not for a text"):
        pin(compose(asked))
