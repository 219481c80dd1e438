"""Every family learns, answers in order, and repeats itself exactly; toy sizes, real code."""

import os
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerState, TrainingArguments

from baselines.decoder import DecoderClassifier
from baselines.encoder import EncoderClassifier
from baselines.majority import MajorityClassifier
from baselines.tfidf import TfidfClassifier
from baselines.training import checkpoints
from baselines.training.hardware import Attention, Batching, Computation, Precision
from baselines.training.trainer import NEVER, PassTrainer, samples_seen, training_arguments
from benchmark.data.load import Splits, load
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, Examples, FitContext
from benchmark.run.compose import build_classifier, composed

FAMILIES = ["majority", "tfidf", "tiny_bert", "tiny_roberta", "tiny_llama", "tiny_llama_head"]
TRAINED = FAMILIES[2:]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load(
        composed(
            [
                "dataset=synthetic",
                "dataset.synthetic.train=60",
                "dataset.synthetic.validation=12",
                "dataset.synthetic.test=18",
            ]
        ).dataset
    )


def contestant(name: str, *overrides: str) -> Classifier:
    return build_classifier(composed([f"model={name}", *overrides]).model)


def context(folder: Path, *overrides: str, seed: int = 0) -> FitContext:
    config = composed(["dataset=synthetic", "recipe.max_steps=2", *overrides])
    return FitContext(tuple(config.dataset.labels), config.recipe, seed, folder)


def fitted(name: str, splits: Splits, folder: Path, *overrides: str, seed: int = 0) -> Classifier:
    classifier = contestant(name, *[o for o in overrides if o.startswith("model.")])
    classifier.fit(
        splits.train,
        splits.validation,
        context(folder, *[o for o in overrides if not o.startswith("model.")], seed=seed),
    )
    return classifier


@pytest.mark.parametrize("name", FAMILIES)
def test_probabilities_are_distributions_over_the_labels(name: str, splits: Splits, tmp_path: Path) -> None:
    predictions = fitted(name, splits, tmp_path).predict(splits.test.texts)
    predictions.check(len(splits.test), 6)
    assert predictions.probabilities.dtype == np.float32


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_do_not_depend_on_the_order_of_the_texts(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = fitted(name, splits, tmp_path)
    forward = classifier.predict(splits.test.texts).probabilities
    backward = classifier.predict(splits.test.texts[::-1]).probabilities[::-1]
    np.testing.assert_allclose(forward, backward, atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_answers_do_not_depend_on_the_batch_size(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = fitted(name, splits, tmp_path)
    together = classifier.predict(splits.test.texts).probabilities
    classifier.prediction_batch_size = 1  # type: ignore[attr-defined]
    np.testing.assert_allclose(classifier.predict(splits.test.texts).probabilities, together, atol=5e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(name: str, splits: Splits, tmp_path: Path) -> None:
    first = fitted(name, splits, tmp_path / "a").predict(splits.test.texts).probabilities
    again = fitted(name, splits, tmp_path / "b").predict(splits.test.texts).probabilities
    other = fitted(name, splits, tmp_path / "c", seed=1).predict(splits.test.texts).probabilities
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("name", TRAINED)
def test_training_makes_the_training_labels_likelier(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = contestant(name)
    report = classifier.fit(
        splits.train, splits.validation, context(tmp_path, "recipe.max_steps=60", "recipe.learning_rate=0.02")
    )
    gold = classifier.predict(splits.train.texts).probabilities[np.arange(60), splits.train.labels]
    assert -np.log(gold).mean() < np.log(6) - 0.1
    losses = [point.loss for point in report.curve if point.loss is not None]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("name", TRAINED)
def test_the_report_states_steps_samples_and_parameters(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = contestant(name)
    report = classifier.fit(splits.train, splits.validation, context(tmp_path, "recipe.max_steps=null"))
    assert report.weights == {"source": "random"}
    assert (report.steps, report.samples_seen, report.effective_batch) == (9, 180, 20)  # 60 rows, 3 epochs, 5 x 4
    assert [point.epoch for point in report.curve if point.validation_accuracy is not None] == [1, 2, 3]
    assert report.training_seconds is not None
    assert report.training_seconds > 0
    assert report.device == "cpu"
    assert report.trained_parameters is not None
    assert report.parameters is not None
    if name.startswith("tiny_llama"):  # adapters of rank 8 on seven projections of two layers, and any head
        head = 6 * 32 if name == "tiny_llama_head" else 0
        assert report.trained_parameters == 2 * 8 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 64)) + head
        assert report.trained_parameters < report.parameters
    else:
        assert report.trained_parameters == report.parameters


def test_an_accumulated_encoder_gradient_is_that_of_the_whole_batch(splits: Splits, tmp_path: Path) -> None:
    """Fails with transformers' own loss, which adds up the means of the micro-batches."""
    weights = []
    for name, batch, accumulation in (("whole", 20, 1), ("parts", 5, 4)):
        classifier = contestant("tiny_bert", "model.architecture.vocab_size=600")
        assert isinstance(classifier, EncoderClassifier)
        classifier.architecture |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        recipe = [f"recipe.batch_size={batch}", f"recipe.gradient_accumulation_steps={accumulation}"]
        report = classifier.fit(
            splits.train, splits.validation, context(tmp_path / name, *recipe, "recipe.warmup_ratio=0")
        )
        assert report.curve[0].loss == pytest.approx(np.log(6), abs=0.1)
        weights.append(torch.cat([p.detach().flatten() for p in classifier.network.parameters()]))
    assert torch.linalg.norm(weights[0] - weights[1]) / torch.linalg.norm(weights[0]) < 1e-5


def test_majority_answers_with_the_shares_of_the_training_labels() -> None:
    train = Examples(("a", "b", "c", "d"), ("w", "x", "y", "z"), np.array([1, 1, 0, 1]))
    classifier = MajorityClassifier()
    classifier.fit(train, train, FitContext(("n", "p"), composed([]).recipe, 0, Path()))
    predictions = classifier.predict(["anything"])
    assert predictions.predicted.tolist() == [1]
    assert predictions.probabilities.tolist() == [[0.25, 0.75]]


def test_tfidf_gives_a_label_absent_from_training_no_probability() -> None:
    texts = ("good day", "good sun", "bad rain", "bad day")
    train = Examples(tuple("abcd"), texts, np.array([0, 0, 2, 2]))
    classifier = TfidfClassifier(min_df=1)
    classifier.fit(train, train, FitContext(("n", "never", "p"), composed([]).recipe, 0, Path()))
    predictions = classifier.predict(["good good", "bad bad"])
    assert predictions.predicted.tolist() == [0, 2]
    assert predictions.probabilities[:, 1].tolist() == [0, 0]


def test_tfidf_on_one_label_says_what_is_wrong() -> None:
    train = Examples(("a", "b"), ("good day", "good sun"), np.array([0, 0]))
    with pytest.raises(BenchmarkError, match="cannot learn"):
        TfidfClassifier(min_df=1).fit(train, train, FitContext(("n", "p"), composed([]).recipe, 0, Path()))


def test_texts_over_the_limit_are_cut_and_counted(splits: Splits, tmp_path: Path) -> None:
    for name in TRAINED:
        report = contestant(name).fit(
            splits.train, splits.validation, context(tmp_path / name, "recipe.max_length=96", "recipe.max_steps=1")
        )
        assert report.truncated_texts == 0
        tight = "recipe.max_length=58" if name.startswith("tiny_llama") else "recipe.max_length=8"
        report = contestant(name).fit(
            splits.train, splits.validation, context(tmp_path / f"{name}-short", tight, "recipe.max_steps=1")
        )
        assert report.truncated_texts > 0


def test_an_encoder_asked_for_more_tokens_than_it_has_positions_is_refused(splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"reads 512 tokens at most; set recipe\.max_length=512"):
        contestant("tiny_roberta").fit(splits.train, splits.validation, context(tmp_path, "recipe.max_length=513"))
    (finding, *_) = contestant("tiny_bert").examine(splits.train.texts, context(tmp_path, "recipe.max_length=1024"))
    assert finding.remedy == "set recipe.max_length=512"


def test_an_architecture_with_other_names_for_its_sizes_is_described(splits: Splits, tmp_path: Path) -> None:
    """DistilBERT and GPT-2, say; nobody learns so after their training."""
    distilbert = EncoderClassifier(
        contestant("tiny_bert").weights,  # type: ignore[attr-defined]
        {"model_type": "distilbert", "vocab_size": 600, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
        batching=Batching.padded,
    )
    gpt2 = contestant("tiny_llama", "model.lora.targets=[c_attn]", "model.batching=padded")
    assert isinstance(gpt2, DecoderClassifier)
    gpt2.architecture = {"model_type": "gpt2", "vocab_size": 600, "n_embd": 32, "n_layer": 2, "n_head": 2}
    for classifier in (distilbert, gpt2):
        assert classifier.describe().dimensions["hidden_size"] == 32
        assert classifier.examine(splits.train.texts, context(tmp_path))
        with pytest.raises(BenchmarkError, match="Random weights get a tokenizer for bert, "):
            classifier.fit(splits.train, splits.validation, context(tmp_path))


def test_several_gpus_do_not_multiply_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = TrainingArguments.__post_init__

    def with_four(arguments: TrainingArguments) -> None:
        found(arguments)
        arguments._n_gpu = 4

    monkeypatch.setattr(TrainingArguments, "__post_init__", with_four)
    arguments = training_arguments(
        context(tmp_path), Computation(torch.device("cpu"), Precision.fp32, Attention.sdpa, Batching.packed)
    )
    assert arguments.train_batch_size == context(tmp_path).recipe.effective_batch


@pytest.mark.parametrize("name", TRAINED)
def test_a_tracker_that_is_not_installed_is_refused_before_training(name: str, splits: Splits, tmp_path: Path) -> None:
    remedies = {
        "comet_ml": "is not installed here .*; pip install comet_ml",
        "none": r"is no tracker .*; report_to=\[\]",
    }
    for tracker, told in remedies.items():
        asked = replace(context(tmp_path), report_to=(tracker,))
        with pytest.raises(BenchmarkError, match=f"report_to names {tracker}, which {told}"):
            contestant(name).fit(splits.train, splits.validation, asked)


def test_a_diverging_run_stops_with_the_step(splits: Splits, tmp_path: Path) -> None:
    overrides = [
        "recipe.learning_rate=1e30",
        "recipe.max_steps=30",
        "recipe.warmup_ratio=0",
        "recipe.max_gradient_norm=1e30",
    ]
    with pytest.raises(BenchmarkError, match="at step"):
        contestant("tiny_llama").fit(splits.train, splits.validation, context(tmp_path, *overrides))


def test_gradients_that_never_fit_into_fp16_stop_the_run() -> None:
    """The scaler itself, of a run on a GPU: only there is fp16 trained."""
    for scale, fits in ((1.0, True), (0.5, False)):
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        state = {"diverged_at": torch.full((), NEVER), "state": TrainerState(global_step=7)}
        trainer: Any = SimpleNamespace(accelerator=SimpleNamespace(scaler=scaler), **state)
        with nullcontext() if fits else pytest.raises(BenchmarkError, match="no longer fit into fp16 by step 7"):
            PassTrainer.check_finite(trainer)


def test_free_generation_counts_answers_that_are_no_label(splits: Splits, tmp_path: Path) -> None:
    predictions = fitted("tiny_llama", splits, tmp_path, "model.readout=generate").predict(splits.test.texts)
    predictions.check(len(splits.test), 6)
    assert predictions.generated is not None
    assert len(predictions.generated) == len(splits.test)
    labels = ("sadness", "joy", "love", "anger", "fear", "surprise")
    for answer, predicted in zip(predictions.generated, predictions.predicted, strict=True):
        assert predicted == (labels.index(answer.strip().lower()) if answer.strip().lower() in labels else -1)


def test_generation_and_label_decoding_agree_once_the_labels_are_learnt(splits: Splits, tmp_path: Path) -> None:
    recipe = ["recipe.max_steps=60", "recipe.learning_rate=0.02", "recipe.batch_size=20"]
    classifier = fitted("tiny_llama", splits, tmp_path, *recipe)
    assert isinstance(classifier, DecoderClassifier)
    decoded = classifier.predict(splits.train.texts)
    generated = classifier._generate(splits.train.texts)
    named = generated.predicted >= 0
    assert named.mean() > 0.9
    assert (generated.predicted == decoded.predicted)[named].mean() > 0.95


def test_label_probabilities_equal_those_of_one_plain_forward_pass_each(splits: Splits, tmp_path: Path) -> None:
    """The batched trie against the definition: softmax over the labels' first tokens, prompt by prompt."""
    classifier = fitted("tiny_llama", splits, tmp_path)
    assert isinstance(classifier, DecoderClassifier)
    answers = classifier.prompter.answers
    expected = []
    for text in splits.test.texts[:6]:
        (prompt,), _ = classifier.prompter.prompts([text])
        log_probability = []
        for answer in answers:
            total = 0.0
            for depth, token in enumerate(answer):
                rivals = sorted({other[depth] for other in answers if other[:depth] == answer[:depth]})
                with torch.inference_mode():
                    logits = classifier.network(torch.tensor([prompt + answer[:depth]])).logits[0, -1]
                total += float(logits[rivals].log_softmax(-1)[rivals.index(token)])
            log_probability.append(total)
        expected.append(np.exp(log_probability))
    actual = classifier.predict(splits.test.texts[:6]).probabilities
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_every_checkpoint_ends_with_a_point_of_the_curve(splits: Splits, tmp_path: Path) -> None:
    """Of 70 steps every 2nd is logged and every 7th saved: what a checkpoint holds has been timed and looked at."""
    steps = ["recipe.max_steps=70", "recipe.batch_size=5", "recipe.gradient_accumulation_steps=1"]
    report = contestant("tiny_bert").fit(splits.train, splits.validation, context(tmp_path, *steps))
    logged = {point.step for point in report.curve if point.loss is not None}
    assert logged == {*range(2, 71, 2), *range(7, 71, 7)}


def test_training_time_leaves_out_the_writing_of_checkpoints(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that an hour passes on with every checkpoint."""
    sealed: list[Path] = []
    seal, clock = checkpoints.seal, time.perf_counter

    def slowly(folder: Path) -> None:
        seal(folder)
        sealed.append(folder)

    monkeypatch.setattr(checkpoints, "seal", slowly)
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + 3600 * len(sealed))
    report = contestant("tiny_bert").fit(splits.train, splits.validation, context(tmp_path, "recipe.max_steps=20"))
    assert len(sealed) > 1
    assert report.training_seconds is not None
    assert report.training_seconds < 3600


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_cut_short_continues_from_its_checkpoint(name: str, splits: Splits, tmp_path: Path) -> None:
    whole = fitted(name, splits, tmp_path / "whole", "recipe.max_steps=10").predict(splits.test.texts)

    class Cut(Exception):
        pass

    classifier = contestant(name)
    healthy = classifier.predict

    def cut(texts: object) -> None:
        raise Cut

    method = "classify" if name.startswith("tiny_llama") else "predict"
    setattr(classifier, method, cut)  # validation after the second epoch never returns
    with pytest.raises(Cut):
        classifier.fit(splits.train, splits.validation, context(tmp_path / "cut", "recipe.max_steps=10"))
    assert list((tmp_path / "cut").glob("checkpoint-*"))
    assert healthy is not None
    resumed = fitted(name, splits, tmp_path / "cut", "recipe.max_steps=10").predict(splits.test.texts)
    assert (resumed.probabilities == whole.probabilities).all()


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama", "tiny_llama_head"])
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("hidden_size=33", "33"),
        ("model_type=brt", "brt"),
        ("num_attention_heads=none", "none"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_one_sentence_before_any_training(
    model: str, mistake: str, said: str, splits: Splits, tmp_path: Path
) -> None:
    classifier = contestant(model, f"model.architecture.{mistake}")
    with pytest.raises(BenchmarkError, match=f"model.architecture cannot be built .*{said}.*correct it"):
        classifier.fit(splits.train, splits.validation, context(tmp_path))


def arguments_of(folder: Path, *overrides: str) -> TrainingArguments:
    computation = Computation(torch.device("cpu"), Precision.fp32, Attention.sdpa, Batching.packed)
    return training_arguments(context(folder, *overrides), computation)


def test_a_constant_rate_is_warmed_up_as_any_other(tmp_path: Path) -> None:
    assert arguments_of(tmp_path, "recipe.schedule=constant").lr_scheduler_type == "constant_with_warmup"
    assert arguments_of(tmp_path, "recipe.schedule=cosine").lr_scheduler_type == "cosine"


def test_trackers_files_do_not_go_with_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    arguments_of(tmp_path / "run")
    assert Path(os.environ.pop("TENSORBOARD_LOGGING_DIR")) == tmp_path / "tensorboard" / "run"


@pytest.mark.parametrize(
    ("steps", "samples", "batch", "seen"), [(9, 60, 20, 180), (40, 2000, 32, 1280), (7, 60, 25, 145), (6, 60, 25, 120)]
)
def test_samples_are_counted_exactly(steps: int, samples: int, batch: int, seen: int) -> None:
    assert samples_seen(steps, samples, batch) == seen


def test_a_label_that_generation_cannot_write_out_is_refused(splits: Splits, tmp_path: Path) -> None:
    classifier = contestant("tiny_llama", "model.readout=generate", "model.max_new_tokens=1")
    with pytest.raises(BenchmarkError, match=r"max_new_tokens is 1, but the label \w+ has \d+ tokens; set"):
        classifier.fit(splits.train, splits.validation, context(tmp_path))
