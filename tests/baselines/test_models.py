"""Every kind of model learns, keeps the order of the texts and is reproducible, at toy sizes."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModelForSequenceClassification, TrainerState, TrainingArguments

from baselines.arrays import FILE, save_arrays
from baselines.cards import trained_part_id
from baselines.compute import folder_hashes
from baselines.compute.hardware import Attention, Batching, Computation, Precision
from baselines.decoder import DecoderClassifier
from baselines.decoder.checks import check_head
from baselines.decoder.network import DecoderNetwork
from baselines.encoder import EncoderClassifier
from baselines.majority import MajorityClassifier
from baselines.tfidf import TfidfClassifier
from baselines.training.arguments import TENSORBOARD_FOLDER, tensorboard_beside_checkpoints, training_arguments
from baselines.training.fine_tuning import samples_seen
from baselines.training.saving import save
from baselines.training.trainer import NEVER, PassTrainer, seed_of
from benchmark.configuration.compose import build_classifier, compose
from benchmark.data.load import Splits, load
from benchmark.errors import BenchmarkError
from benchmark.files import sha256_of_file
from benchmark.interface import LOWER_RATE, Classifier, Examples, FitContext, Predictions, WeightSource

MODELS = ["majority", "tfidf", "tiny_bert", "tiny_roberta", "tiny_llama", "tiny_llama_head"]
NETWORKS = MODELS[2:]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load(
        compose(
            [
                "dataset=synthetic",
                "dataset.synthetic.train=60",
                "dataset.synthetic.validation=12",
                "dataset.synthetic.test=18",
            ]
        ).dataset
    )


def model(name: str, *overrides: str) -> Classifier:
    return build_classifier(compose([f"model={name}", *overrides]).model)


def context(folder: Path, *overrides: str, seed: int = 0) -> FitContext:
    config = compose(["dataset=synthetic", "recipe.max_steps=2", *overrides])
    return FitContext(tuple(config.dataset.labels), config.recipe, seed, folder)


def fitted(name: str, splits: Splits, folder: Path, *overrides: str, seed: int = 0) -> Classifier:
    classifier = model(name, *[o for o in overrides if o.startswith("model.")])
    classifier.fit(
        splits.train,
        splits.validation,
        context(folder, *[o for o in overrides if not o.startswith("model.")], seed=seed),
    )
    return classifier


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_distributions_over_the_labels(name: str, splits: Splits, tmp_path: Path) -> None:
    predictions = fitted(name, splits, tmp_path).predict(splits.test.texts)
    predictions.check(len(splits.test), 6)
    assert predictions.probabilities.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_predictions_do_not_depend_on_the_order_of_the_texts(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = fitted(name, splits, tmp_path)
    forward = classifier.predict(splits.test.texts).probabilities
    backward = classifier.predict(splits.test.texts[::-1]).probabilities[::-1]
    np.testing.assert_allclose(forward, backward, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_predictions_do_not_depend_on_the_batch_size(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = fitted(name, splits, tmp_path)
    together = classifier.predict(splits.test.texts).probabilities
    classifier.prediction_batch_size = 1  # type: ignore[attr-defined]
    np.testing.assert_allclose(classifier.predict(splits.test.texts).probabilities, together, atol=5e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_gives_the_same_bits_again_and_another_seed_other_bits(
    name: str, splits: Splits, tmp_path: Path
) -> None:
    first = fitted(name, splits, tmp_path / "a").predict(splits.test.texts).probabilities
    again = fitted(name, splits, tmp_path / "b").predict(splits.test.texts).probabilities
    other = fitted(name, splits, tmp_path / "c", seed=1).predict(splits.test.texts).probabilities
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("name", NETWORKS)
def test_training_lowers_the_loss(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = model(name)
    report = classifier.fit(
        splits.train, splits.validation, context(tmp_path, "recipe.max_steps=60", "recipe.learning_rate=0.02")
    )
    gold = classifier.predict(splits.train.texts).probabilities[np.arange(60), splits.train.labels]
    assert -np.log(gold).mean() < np.log(6) - 0.1
    losses = [point.loss for point in report.curve if point.loss is not None]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_report_states_steps_samples_and_parameters(name: str, splits: Splits, tmp_path: Path) -> None:
    classifier = model(name)
    report = classifier.fit(splits.train, splits.validation, context(tmp_path, "recipe.max_steps=null"))
    assert report.weights == WeightSource("random")
    assert report.saved_sha256 is None
    assert (report.steps, report.samples_seen, report.effective_batch) == (9, 180, 20)  # 60 rows, 3 epochs, 5 x 4
    assert [point.epoch for point in report.curve if point.validation_accuracy is not None] == [1, 2, 3]
    assert report.training_seconds is not None
    assert report.training_seconds > 0
    assert report.device == "cpu"
    assert report.trained_parameters is not None
    assert report.parameters is not None
    if name.startswith("tiny_llama"):  # adapters of rank 8 on seven projections of two layers, and a head if any
        head = 6 * 32 if name == "tiny_llama_head" else 0
        assert report.trained_parameters == 2 * 8 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 64)) + head
        assert report.trained_parameters < report.parameters
    else:
        assert report.trained_parameters == report.parameters


def test_accumulated_gradients_of_an_encoder_equal_those_of_the_whole_batch(splits: Splits, tmp_path: Path) -> None:
    """This fails with transformers' own loss, which sums the means of the micro-batches."""
    weights = []
    for name, batch, accumulation in (("whole", 20, 1), ("parts", 5, 4)):
        classifier = model("tiny_bert", "model.architecture.vocab_size=600")
        assert isinstance(classifier, EncoderClassifier)
        classifier.architecture |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        recipe = [f"recipe.batch_size={batch}", f"recipe.gradient_accumulation_steps={accumulation}"]
        report = classifier.fit(
            splits.train, splits.validation, context(tmp_path / name, *recipe, "recipe.warmup_ratio=0")
        )
        assert report.curve[0].loss == pytest.approx(np.log(6), abs=0.1)
        weights.append(torch.cat([p.detach().flatten() for p in classifier.network.parameters()]))
    assert torch.linalg.norm(weights[0] - weights[1]) / torch.linalg.norm(weights[0]) < 1e-5


def test_majority_predicts_the_shares_of_the_training_labels() -> None:
    train = Examples(("a", "b", "c", "d"), ("w", "x", "y", "z"), np.array([1, 1, 0, 1]))
    classifier = MajorityClassifier()
    classifier.fit(train, train, FitContext(("n", "p"), compose([]).recipe, 0, Path()))
    predictions = classifier.predict(["anything"])
    assert predictions.predicted.tolist() == [1]
    assert predictions.probabilities.tolist() == [[0.25, 0.75]]


def test_tfidf_gives_a_label_without_training_texts_the_probability_0() -> None:
    texts = ("good day", "good sun", "bad rain", "bad day")
    train = Examples(tuple("abcd"), texts, np.array([0, 0, 2, 2]))
    classifier = TfidfClassifier(min_df=1)
    classifier.fit(train, train, FitContext(("n", "never", "p"), compose([]).recipe, 0, Path()))
    predictions = classifier.predict(["good good", "bad bad"])
    assert predictions.predicted.tolist() == [0, 2]
    assert predictions.probabilities[:, 1].tolist() == [0, 0]


@pytest.mark.parametrize(("texts", "labels"), [(("good day", "good sun"), [0, 0]), (("a", "b"), [0, 1])])
def test_tfidf_refuses_texts_of_one_label_and_texts_without_words_before_training(
    texts: tuple[str, str], labels: list[int]
) -> None:
    train = Examples(("a", "b"), texts, np.array(labels))
    recipe, begun = compose([]).recipe, list[bool]()
    given = FitContext(("n", "p"), recipe, 0, Path(), training_begins=lambda: begun.append(True))
    with pytest.raises(BenchmarkError, match="cannot learn"):
        TfidfClassifier(min_df=1).fit(train, train, given)
    assert not begun


def test_a_saved_tfidf_does_not_grow_with_its_longest_term_and_one_with_an_array_of_texts_is_read(
    tmp_path: Path,
) -> None:
    texts = ("good day", "good café " + "o" * 100_000, "bad rain", "bad day")
    train = Examples(tuple("abcd"), texts, np.array([0, 0, 1, 1]))
    given = FitContext(("n", "p"), compose([]).recipe, 0, tmp_path, model_dir=tmp_path / "model")
    classifier, restored, older = (TfidfClassifier(min_df=1) for _ in range(3))
    classifier.fit(train, train, given)
    restored.restore(tmp_path / "model", given)
    assert (tmp_path / "model" / FILE).stat().st_size < 500_000
    with np.load(tmp_path / "model" / FILE) as stored:
        arrays = dict(stored) | {"terms": classifier.pipeline[0].get_feature_names_out().astype(np.str_)}
    save_arrays(tmp_path / "older", **arrays)
    older.restore(tmp_path / "older", given)
    for model in (restored, older):
        assert model.pipeline[0].vocabulary_ == classifier.pipeline[0].vocabulary_
        np.testing.assert_array_equal(model.predict(texts).probabilities, classifier.predict(texts).probabilities)


def test_an_error_while_tfidf_trains_is_not_blamed_on_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("solver")

    monkeypatch.setattr(LogisticRegression, "fit", fail)
    train = Examples(("a", "b"), ("good day", "bad sun"), np.array([0, 1]))
    with pytest.raises(ValueError, match="solver"):
        TfidfClassifier(min_df=1).fit(train, train, FitContext(("n", "p"), compose([]).recipe, 0, Path()))


@pytest.mark.parametrize("name", NETWORKS)
def test_texts_over_max_length_are_cut_and_counted(name: str, splits: Splits, tmp_path: Path) -> None:
    short = 58 if name.startswith("tiny_llama") else 8
    for length, cut in ((96, False), (short, True)):
        options = [f"recipe.max_length={length}", "recipe.max_steps=1"]
        report = model(name).fit(splits.train, splits.validation, context(tmp_path / str(length), *options))
        assert (report.truncated_texts > 0) is cut


def test_a_max_length_above_an_encoders_positions_is_refused(splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"recipe\.max_length is 513") as refusal:
        model("tiny_roberta").fit(splits.train, splits.validation, context(tmp_path, "recipe.max_length=513"))
    assert refusal.value.fix == "Set recipe.max_length=512 or less."
    (finding, *_) = model("tiny_bert").examine(splits.train.texts, context(tmp_path, "recipe.max_length=1024"))
    assert finding.fix == "Set recipe.max_length=512 or less."


def test_an_architecture_with_other_names_for_its_sizes_is_described(splits: Splits, tmp_path: Path) -> None:
    """For example DistilBERT and GPT-2."""
    distilbert = EncoderClassifier(
        model("tiny_bert").weights,  # type: ignore[attr-defined]
        {"model_type": "distilbert", "vocab_size": 600, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
        batching=Batching.padded,
    )
    gpt2 = model("tiny_llama", "model.lora.targets=[c_attn]", "model.batching=padded")
    assert isinstance(gpt2, DecoderClassifier)
    gpt2.architecture = {"model_type": "gpt2", "vocab_size": 600, "n_embd": 32, "n_layer": 2, "n_head": 2}
    for classifier in (distilbert, gpt2):
        assert classifier.describe().dimensions["hidden_size"] == 32
        assert classifier.examine(splits.train.texts, context(tmp_path))
    with pytest.raises(BenchmarkError, match="random weights can be of the types bert, "):
        gpt2.fit(splits.train, splits.validation, context(tmp_path))


def test_an_architecture_that_cannot_be_packed_is_padded_and_computed_eagerly(splits: Splits, tmp_path: Path) -> None:
    options = ("batching=auto", "attention=auto", "architecture.model_type=deberta-v2")
    classifier = model("tiny_bert", *(f"model.{option}" for option in options))
    report = classifier.fit(splits.train, splits.validation, context(tmp_path, "recipe.max_steps=2"))
    assert report.attention == "eager"
    assert len(classifier.predict(splits.test.texts).predicted) == len(splits.test.texts)


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


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tracker_that_is_not_available_is_refused_before_training(name: str, splits: Splits, tmp_path: Path) -> None:
    for tracker, fix in {"comet_ml": "pip install comet_ml", "none": "report_to=[]"}.items():
        with pytest.raises(BenchmarkError, match=f"report_to names {tracker}") as refusal:
            model(name).fit(splits.train, splits.validation, replace(context(tmp_path), report_to=(tracker,)))
        assert fix in str(refusal.value.fix)


def test_a_loss_that_is_not_finite_stops_the_run_with_the_step(splits: Splits, tmp_path: Path) -> None:
    overrides = [
        "recipe.learning_rate=1e30",
        "recipe.max_steps=30",
        "recipe.warmup_ratio=0",
        "recipe.max_gradient_norm=1e30",
    ]
    with pytest.raises(BenchmarkError, match=r"not finite at step \d+"):
        model("tiny_llama").fit(splits.train, splits.validation, context(tmp_path, *overrides))


def test_a_probability_of_the_validation_split_that_is_not_finite_stops_the_run(splits: Splits, tmp_path: Path) -> None:
    """The first step has a finite loss, and leaves weights that overflow."""
    overrides = ["recipe.learning_rate=1e30", "recipe.max_steps=1", "recipe.warmup_ratio=0"]
    with pytest.raises(BenchmarkError, match="validation row 0 are not finite") as refused:
        model("tiny_llama").fit(splits.train, splits.validation, context(tmp_path, *overrides))
    assert refused.value.fix == LOWER_RATE


def test_gradients_that_overflow_fp16_repeatedly_stop_the_run() -> None:
    """Tested with the scaler alone, because fp16 is trained on GPUs only."""
    for scale, fits in ((1.0, True), (0.5, False)):
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        state = {"diverged_at": torch.full((), NEVER), "state": TrainerState(global_step=7)}
        trainer: Any = SimpleNamespace(accelerator=SimpleNamespace(scaler=scaler), **state)
        with nullcontext() if fits else pytest.raises(BenchmarkError, match="fp16 at step 7"):
            PassTrainer.check_finite(trainer)


def test_free_generation_marks_answers_that_are_no_label(splits: Splits, tmp_path: Path) -> None:
    predictions = fitted("tiny_llama", splits, tmp_path, "model.readout=generate").predict(splits.test.texts)
    predictions.check(len(splits.test), 6)
    assert predictions.generated is not None
    assert len(predictions.generated) == len(splits.test)
    labels = ("sadness", "joy", "love", "anger", "fear", "surprise")
    for answer, predicted in zip(predictions.generated, predictions.predicted, strict=True):
        assert predicted == (labels.index(answer.strip().lower()) if answer.strip().lower() in labels else -1)


def test_an_answer_ends_at_the_end_token_even_if_the_tokenizer_does_not_call_it_special(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = fitted("tiny_llama", splits, tmp_path, "model.readout=generate")
    assert isinstance(classifier, DecoderClassifier)
    joy = classifier.prompter.answers[1][:-1]
    classifier.tokenizer.add_tokens(["<over>"])
    classifier.prompter.end = end = classifier.tokenizer.convert_tokens_to_ids("<over>")
    monkeypatch.setattr(DecoderNetwork, "generate", lambda *_: torch.tensor([[*joy, end, end]]))
    predictions = classifier.predict(["a text"])
    assert (predictions.predicted.tolist(), list(predictions.generated or ())) == ([1], ["joy"])


def test_free_generation_needs_room_for_all_that_it_may_write(splits: Splits, tmp_path: Path) -> None:
    classifier = fitted("tiny_llama", splits, tmp_path, "model.readout=generate", "model.max_new_tokens=8")
    assert isinstance(classifier, DecoderClassifier)
    longest = max(map(len, classifier.prompter.prompts(splits.test.texts)[0]))
    classifier.network.config.max_position_embeddings = longest + 7
    with pytest.raises(
        BenchmarkError, match=f"have {longest + 8} tokens, but the model reads at most {longest + 7}"
    ) as refusal:
        classifier.predict(splits.test.texts)
    allowed = int(refusal.value.fix.removeprefix("Set recipe.max_length=").split()[0])
    classifier.prompter.limit = allowed - max(map(len, classifier.prompter.answers))
    classifier.predict(splits.test.texts)


def test_prompts_longer_than_the_network_reads_are_refused(splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="tokens, but the model reads at most 24"):
        fitted("tiny_llama", splits, tmp_path, "model.architecture.max_position_embeddings=24")


@pytest.mark.parametrize("model_type", ["modernbert-decoder", "qwen3", "gemma3_text"])
def test_a_head_that_is_not_one_layer_is_refused_before_any_download(model_type: str) -> None:
    decoder = model("llama3_lora", "model.readout=head")
    assert isinstance(decoder, DecoderClassifier)
    refused = pytest.raises(BenchmarkError, match="model.readout=head does not support modernbert-decoder")
    with refused if model_type == "modernbert-decoder" else nullcontext():
        check_head(replace(decoder, architecture={"model_type": model_type}))


def test_free_generation_and_constrained_labels_agree_after_training(splits: Splits, tmp_path: Path) -> None:
    recipe = ["recipe.max_steps=60", "recipe.learning_rate=0.02", "recipe.batch_size=20"]
    classifier = fitted("tiny_llama", splits, tmp_path, *recipe)
    assert isinstance(classifier, DecoderClassifier)
    decoded = classifier.predict(splits.train.texts)
    generated = classifier._generate(splits.train.texts)
    named = generated.predicted >= 0
    assert named.mean() > 0.9
    assert (generated.predicted == decoded.predicted)[named].mean() > 0.95


def test_constrained_label_probabilities_equal_the_definition(splits: Splits, tmp_path: Path) -> None:
    """A softmax over the possible next tokens, computed prompt by prompt without batching."""
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
                possible = sorted({other[depth] for other in answers if other[:depth] == answer[:depth]})
                with torch.inference_mode():
                    logits = classifier.network(torch.tensor([prompt + answer[:depth]])).logits[0, -1]
                total += float(logits[possible].log_softmax(-1)[possible.index(token)])
            log_probability.append(total)
        expected.append(np.exp(log_probability))
    actual = classifier.predict(splits.test.texts[:6]).probabilities
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_every_checkpoint_ends_with_a_point_of_the_curve(splits: Splits, tmp_path: Path) -> None:
    """Of 70 steps, every 2nd is logged and every 7th saved. What is saved has a finite loss and a time."""
    steps = ["recipe.max_steps=70", "recipe.batch_size=5", "recipe.gradient_accumulation_steps=1"]
    report = model("tiny_bert").fit(splits.train, splits.validation, context(tmp_path, *steps))
    logged = {point.step for point in report.curve if point.loss is not None}
    assert logged == {*range(2, 71, 2), *range(7, 71, 7)}


def test_training_time_does_not_count_the_writing_of_checkpoints(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is advanced by an hour with every checkpoint."""
    written: list[Path] = []
    write_hashes, clock = folder_hashes.write_hashes, time.perf_counter

    def slow(folder: Path) -> None:
        write_hashes(folder)
        written.append(folder)

    monkeypatch.setattr(folder_hashes, "write_hashes", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + 3600 * len(written))
    report = model("tiny_bert").fit(splits.train, splits.validation, context(tmp_path, "recipe.max_steps=20"))
    assert len(written) > 1
    assert report.training_seconds is not None
    assert report.training_seconds < 3600


@pytest.mark.parametrize(("validations", "last_step"), [(0, 3), (3, 10)])  # in the first epoch, or after the last step
@pytest.mark.parametrize("name", NETWORKS)
def test_an_interrupted_run_continues_from_its_checkpoint(
    name: str, validations: int, last_step: int, splits: Splits, tmp_path: Path
) -> None:
    whole = fitted(name, splits, tmp_path / "whole", "recipe.max_steps=10").predict(splits.test.texts)

    class Interrupted(Exception):
        pass

    classifier: Any = model(name)
    method = "classify" if name.startswith("tiny_llama") else "predict"
    predict, left = getattr(classifier, method), iter(range(validations))

    def interrupt(texts: Sequence[str]) -> Predictions:
        if next(left, None) is None:
            raise Interrupted
        return predict(texts)

    setattr(classifier, method, interrupt)
    with pytest.raises(Interrupted):
        classifier.fit(splits.train, splits.validation, context(tmp_path / "cut", "recipe.max_steps=10"))
    assert (tmp_path / f"cut/checkpoint-{last_step}").is_dir()
    resumed = fitted(name, splits, tmp_path / "cut", "recipe.max_steps=10").predict(splits.test.texts)
    assert (resumed.probabilities == whole.probabilities).all()


@pytest.mark.parametrize(("name", "file"), [("tiny_bert", "model"), ("tiny_llama_head", "adapter_model")])
def test_the_report_has_the_hash_of_the_saved_weights(name: str, file: str, splits: Splits, tmp_path: Path) -> None:
    saving = replace(context(tmp_path / "work"), model_dir=tmp_path / "model")
    report = model(name).fit(splits.train, splits.validation, saving)
    weights = (tmp_path / f"model/{file}.safetensors").read_bytes()
    assert report.saved_sha256 == hashlib.sha256(weights).hexdigest()


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama", "tiny_llama_head"])
@pytest.mark.parametrize(
    ("mistake", "named"), [("hidden_size=33", "33"), ("model_type=brt", "brt"), ("num_attention_heads=none", "none")]
)
def test_an_architecture_that_cannot_be_built_is_refused_before_training(
    name: str, mistake: str, named: str, splits: Splits, tmp_path: Path
) -> None:
    classifier = model(name, f"model.architecture.{mistake}")
    with pytest.raises(BenchmarkError, match=f"model.architecture cannot be built .*{named}"):
        classifier.fit(splits.train, splits.validation, context(tmp_path))


def arguments_of(folder: Path, *overrides: str) -> TrainingArguments:
    computation = Computation(torch.device("cpu"), Precision.fp32, Attention.sdpa, Batching.packed)
    return training_arguments(context(folder, *overrides), computation)


def test_a_constant_learning_rate_is_warmed_up(tmp_path: Path) -> None:
    assert arguments_of(tmp_path, "recipe.schedule=constant").lr_scheduler_type == "constant_with_warmup"
    assert arguments_of(tmp_path, "recipe.schedule=cosine").lr_scheduler_type == "cosine"


def test_tracker_files_are_not_among_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TENSORBOARD_FOLDER, raising=False)
    for run in ("first", "second"):  # in one process
        with tensorboard_beside_checkpoints(context(tmp_path / run)):
            assert Path(os.environ[TENSORBOARD_FOLDER]) == tmp_path / "tensorboard" / run
    assert TENSORBOARD_FOLDER not in os.environ
    monkeypatch.setenv(TENSORBOARD_FOLDER, "chosen")
    with tensorboard_beside_checkpoints(context(tmp_path / "run")):
        assert os.environ[TENSORBOARD_FOLDER] == "chosen"
    assert os.environ[TENSORBOARD_FOLDER] == "chosen"


@pytest.mark.parametrize(
    ("steps", "samples", "batch", "seen"), [(9, 60, 20, 180), (40, 2000, 32, 1280), (7, 60, 25, 145), (6, 60, 25, 120)]
)
def test_samples_seen_counts_smaller_last_batches(steps: int, samples: int, batch: int, seen: int) -> None:
    assert samples_seen(steps, samples, batch) == seen


def test_a_label_longer_than_max_new_tokens_is_refused(splits: Splits, tmp_path: Path) -> None:
    classifier = model("tiny_llama", "model.readout=generate", "model.max_new_tokens=1")
    with pytest.raises(BenchmarkError, match=r"max_new_tokens is 1, but the label \w+ has \d+ tokens"):
        classifier.fit(splits.train, splits.validation, context(tmp_path))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("majority", {"kind": "constant", "learns": False, "library": None, "settings": {}}),
        ("tfidf", {"kind": "linear", "learns": True, "library": "sklearn", "settings": {}}),
        ("external", {"kind": "external", "computed_here": False, "library": None, "settings": {}}),
        (
            "minilm",
            {
                "kind": "encoder",
                "readout": None,
                "training": None,
                "random_weights": False,
                "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                "library": "transformers",
                "settings": {"precision": "fp32", "attention": "sdpa", "lora_rank": "none"},
            },
        ),
        ("tiny_llama_head", {"random_weights": True, "base_model": None, "readout": "classification head"}),
        (
            "llama3_lora",
            {
                "kind": "decoder",
                "readout": "constrained labels",
                "base_model": "meta-llama/Meta-Llama-3-8B-Instruct",
                "library": "peft",
                "settings": {"precision": "fp16", "attention": "flash_attention_2", "lora_rank": 8},
            },
        ),
    ],
)
def test_the_card_describes_the_model(name: str, expected: dict[str, Any]) -> None:
    card = model(name).describe()
    assert {field: getattr(card, field) for field in expected} == expected
    assert (card.usage is not None) is (card.kind in ("encoder", "decoder"))


def test_the_seed_of_a_share_is_the_same_everywhere_and_another_one_for_each_process_and_step() -> None:
    assert seed_of(0, 5, 1) == 5_847_879_124_786_314_296
    torch.Generator().manual_seed(seed_of(0, 5, 1))
    parts = [(seed, step, rank) for seed in range(3) for step in range(3) for rank in range(3)]
    assert len({seed_of(*numbers) for numbers in parts}) == len(parts)


@pytest.mark.parametrize("batching", ["packed", "padded"])
def test_a_saved_merged_head_has_the_configuration_of_its_base(batching: str, splits: Splits, tmp_path: Path) -> None:
    classifier = fitted("tiny_llama_head", splits, tmp_path / "work", f"model.batching={batching}")
    assert isinstance(classifier, DecoderClassifier)
    probabilities = classifier.predict(splits.test.texts).probabilities
    classifier.save_merged(tmp_path / "merged")
    assert (
        json.loads((tmp_path / "merged/config.json").read_text())["pad_token_id"] == classifier.tokenizer.pad_token_id
    )
    plain = classifier.prompter.prompts(splits.test.texts)[0][0]
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    with torch.inference_mode():
        alone = network(torch.tensor([plain])).logits.softmax(dim=-1)[0]
    np.testing.assert_allclose(alone, probabilities[0], atol=1e-5)


def test_all_readouts_of_one_training_have_the_same_training_id() -> None:
    def training(*overrides: str) -> str | None:
        return model("tiny_llama", *overrides).describe().training

    expected = training()
    assert training("model.readout=generate") == training("model.readout=head") == expected
    assert training("model.precision=bf16") != expected
    assert training("model.lora.rank=4") != expected


def test_the_training_id_of_a_record_is_that_of_the_model(shipped: Path) -> None:
    records = shipped / "results/runs/smollm2_lora/emotion"
    found: dict[str, set[str]] = {}
    for path in records.glob("*/record.json"):
        parameters = json.loads(path.read_text())["config"]["model"]["parameters"]
        precision = parameters["precision"]
        found.setdefault(precision, set()).add(trained_part_id(parameters["weights"], precision, parameters["lora"]))
    described = {precision: model("smollm2_lora", f"model.precision={precision}").describe() for precision in found}
    assert {precision: {card.training} for precision, card in described.items()} == found
    assert found.keys() == {"fp32", "bf16"}


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("tiny_bert", "model.prediction_batch_size=0"),
        ("tiny_llama", "model.prediction_batch_size=0"),
        ("tiny_llama", "model.max_new_tokens=0"),
        ("tiny_llama", "model.lora.rank=0"),
        ("tiny_llama", "model.lora.alpha=0"),
        ("tiny_llama", "model.lora.dropout=1.0"),
        ("tiny_llama", "model.lora.dropout=-0.1"),
        ("tfidf", "model.ngrams=0"),
        ("tfidf", "model.min_df=0"),
        ("tfidf", "model.C=0.0"),
    ],
)
def test_an_option_out_of_range_is_named(name: str, option: str) -> None:
    with pytest.raises(BenchmarkError, match=option.replace("=", " is ")):
        model(name, option)


def test_a_network_above_the_default_shard_size_of_transformers_is_saved_in_one_file(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = fitted("tiny_bert", splits, tmp_path / "work")
    assert isinstance(classifier, EncoderClassifier)
    network, tokenizer = classifier.network, classifier.tokenizer
    monkeypatch.setattr(network, "save_pretrained", partial(network.save_pretrained, max_shard_size="10KB"))
    network.save_pretrained(tmp_path / "sharded")
    saved_sha256 = save(network, tokenizer, tmp_path / "saved", tuple("abcdef"))
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    (file,) = (tmp_path / "saved").glob("*.safetensors")
    assert sha256_of_file(file) == saved_sha256
