"""Targets that mix a label with a teacher's probabilities, and an encoder that is trained on them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from baselines import encoder
from baselines.packed.sample import Sample
from baselines.training.label_loss import LabelLoss
from baselines.training.soft_labels import soft_targets
from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples
from benchmark.run.context import fit_context
from benchmark.run.runner import run

TRAIN = Examples(("train-0", "train-1"), ("good", "bad"), np.array([0, 1]))
LABELS = ("joy", "anger")

Compose = Callable[..., RunConfig]


def written(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "soft.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(text: str, joy: object, anger: object) -> dict[str, object]:
    return {"text": text, "p_joy": joy, "p_anger": anger}


def test_a_target_is_the_mean_of_the_label_and_the_teacher_and_repeated_texts_are_averaged(tmp_path: Path) -> None:
    path = written(tmp_path, row("bad", 0.2, 0.8), row("good", 0.6, 0.4), row("bad", 0.4, 0.6), row("unused", 1, 0))
    np.testing.assert_allclose(soft_targets(path, TRAIN, LABELS), [[0.8, 0.2], [0.15, 0.85]])


@pytest.mark.parametrize(
    ("second", "place"),
    [
        (row("other", 0.5, 0.5), "number 2"),
        (row("bad", 0.9, 0.9), "row 2"),
        (row("bad", float("nan"), 0.5), "row 2"),
        (row("bad", -0.5, 1.5), "row 2"),
        (row("bad", "high", 0.5), "row 2"),
        ({"text": "bad", "p_joy": 1.0}, "row 2"),
        ({"p_joy": 0.5, "p_anger": 0.5}, "row 2 has no text; its columns are p_joy, p_anger"),
        (row("bad", 0.5, 0.5) | {"Text": "good"}, "row 2: a column occurs more than once"),
        (row("bad", 0.5, 0.5) | {"caf\u00e9": 1, "cafe\u0301": 2}, "row 2: a column occurs more than once"),
        (row("bad", 0.5, 0.5) | {"text": 7}, "row 2: the text is of type int"),
    ],
)
def test_a_file_without_probabilities_of_every_training_text_is_refused(
    second: dict[str, object], place: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchmarkError) as refused:
        soft_targets(written(tmp_path, row("good", 0.5, 0.5), second), TRAIN, LABELS)
    assert place in refused.value.problem


def test_columns_are_found_by_any_form_of_a_label_and_rounded_probabilities_are_divided_by_their_sum(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, {" Text": "bad", "p_Joy": 0.2, "P_ANGER": 0.8}, row("good", 0.66, 0.33))
    np.testing.assert_allclose(soft_targets(path, TRAIN, LABELS), [[5 / 6, 1 / 6], [0.1, 0.9]])


def test_certain_soft_labels_have_the_loss_of_the_labels_and_others_that_of_their_mixture() -> None:
    logits, loss = torch.tensor([[1.0, -1.0], [0.5, 2.0]]), LabelLoss(None, 0.0)
    hard = [Sample([1], [0]), Sample([1], [1])]
    certain = [Sample([1], [0], [1.0, 0.0]), Sample([1], [1], [0.0, 1.0])]
    torch.testing.assert_close(loss(logits, certain), loss(logits, hard))
    mixed = loss(logits[:1], [Sample([1], [0], [0.75, 0.25])])
    expected = -(torch.tensor([0.75, 0.25]) * functional.log_softmax(logits[0], dim=-1)).sum()
    torch.testing.assert_close(mixed, expected)


def test_an_encoder_learns_soft_labels_and_their_hash_is_in_the_record(tmp_path: Path, compose_run: Compose) -> None:
    tiny = ("model=tiny_bert", "dataset.synthetic.train=24", "recipe.max_steps=2", f"models_dir={tmp_path / 'models'}")
    plain = run(compose_run(*tiny))
    labels, texts = plain.record.labels, load(compose_run(*tiny).dataset).train.texts
    path = written(tmp_path, *[{"text": text} | {f"p_{label}": 1 / len(labels) for label in labels} for text in texts])
    made = run(compose_run(*tiny, f"model.soft_labels={path}"))
    assert made.record.digest != plain.record.digest
    assert made.record.config.model.parameters["soft_labels"].startswith("soft.jsonl@")
    assert not np.array_equal(made.predictions.probabilities, plain.predictions.probabilities)


def test_an_unsuitable_teacher_is_found_by_the_doctor_and_before_weights_are_loaded(
    tmp_path: Path, compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose_run("model=tiny_bert", f"model.soft_labels={written(tmp_path, row('bad', 0.9, 0.9))}")
    splits, classifier = load(config.dataset), build_classifier(config.model)
    context = fit_context(config.spec, tmp_path)
    found = [finding for finding in classifier.examine(splits.train.texts, context) if finding.fix is not None]
    assert [finding.what for finding in found] == ["soft_labels"]
    monkeypatch.setattr(encoder, "load", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(BenchmarkError) as refused:
        classifier.fit(splits.train, splits.validation, context)
    assert (refused.value.problem, refused.value.fix) == (found[0].found, found[0].fix)


def test_soft_labels_without_a_training_are_refused(compose_run: Compose, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError) as refused:
        build_classifier(compose_run("model=tiny_bert", "model.train=false", f"model.soft_labels={tmp_path}").model)
    assert "model.soft_labels" in refused.value.problem
