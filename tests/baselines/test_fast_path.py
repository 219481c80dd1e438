"""Packed and padded batching give the same losses, gradients, predictions and trainings (fp32, no dropout)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Compose, Network, samples_of, trained
from peft.tuners.lora import Linear as LoraLinear
from shipped_configurations import composer
from torch import nn

from baselines import decoder, encoder
from baselines.compute.hardware import Batching, has_flash_attn
from baselines.decoder import DecoderClassifier
from baselines.encoder import EncoderClassifier
from baselines.packed.sample import Sample
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import Readout

TINY = ["tiny_bert", "tiny_roberta", "tiny_llama", "tiny_llama_head"]
FAMILIES = {
    "electra": ["model=tiny_bert", "model.architecture.model_type=electra", "+model.architecture.embedding_size=16"],
    "distilbert": ["model=tiny_bert", "model.architecture.model_type=distilbert", "+model.architecture.hidden_dim=64"],
    "xlm-roberta": ["model=tiny_roberta", "model.architecture.model_type=xlm-roberta"],
    "camembert": ["model=tiny_roberta", "model.architecture.model_type=camembert"],
    "mpnet": ["model=tiny_roberta", "model.architecture.model_type=mpnet", "model.attention=auto"],
    **{
        f"modernbert, {pooling}": [
            "model=tiny_bert",
            "model.architecture.model_type=modernbert",
            "model.architecture.num_hidden_layers=4",
            "+model.architecture.local_attention=8",  # so that most texts are longer than the window
            f"+model.architecture={{classifier_pooling:{pooling},pad_token_id:0,bos_token_id:2,eos_token_id:3,cls_token_id:2,sep_token_id:3}}",
        ]
        for pooling in ("cls", "mean")
    },
    "mistral": ["model=tiny_llama", "model.architecture.model_type=mistral", "+model.architecture.sliding_window=8"],
    "qwen2": [
        "model=tiny_llama",
        "model.architecture.model_type=qwen2",
        "+model.architecture={use_sliding_window:true,sliding_window:8,max_window_layers:1}",
    ],
    "qwen3": ["model=tiny_llama", "model.architecture.model_type=qwen3"],
    "gemma3": [
        "model=tiny_llama",
        "model.architecture.model_type=gemma3_text",
        "model.architecture.num_hidden_layers=3",
        "+model.architecture={sliding_window:8,head_dim:8,query_pre_attn_scalar:8,sliding_window_pattern:2}",
    ],
    "smollm3": [
        "model=tiny_llama",
        "model.architecture.model_type=smollm3",
        "+model.architecture.pad_token_id=2",
        "+model.architecture.no_rope_layer_interval=2",
    ],
    "phi3": [
        "model=tiny_llama",
        "model.architecture.model_type=phi3",
        "+model.architecture={sliding_window:8,pad_token_id:2}",
    ],
}
"""Overrides that make a tiny random model of each further architecture; windows are shorter than the texts."""
OVERRIDES = {model: [f"model={model}"] for model in (*TINY, "minilm", "smollm2_lora", "smollm2_head")} | FAMILIES
REAL = [pytest.param(model, marks=pytest.mark.slow) for model in ("minilm", "smollm2_lora", "smollm2_head")]


@pytest.fixture(scope="module", autouse=True)
def no_dropout() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (encoder, decoder.classifier):
            patch.setattr(module, "load", _without_dropout(module.load))
        yield


def _without_dropout(load: Callable[..., Any]) -> Callable[..., Any]:
    def loaded(*arguments: Any, **options: Any) -> Any:
        result = load(*arguments, **options)
        for layer in result.network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        return result

    return loaded


@pytest.fixture(scope="module", params=[*TINY, *FAMILIES, *REAL])
def trained_model(
    no_dropout: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Network, data.Splits]:
    """Each model, trained once for the tests that only use it."""
    folder = tmp_path_factory.mktemp("trained_model")
    config = composer(folder)(*OVERRIDES[request.param], "recipe.learning_rate=2e-4")
    classifier, _, splits = trained(config, folder / "work")
    return classifier, splits


def loss_and_gradients(
    classifier: Network, samples: list[Sample], batching: Batching
) -> tuple[float, dict[str, torch.Tensor]]:
    classifier.network.zero_grad()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "computation", replace(classifier.computation, batching=batching))
        loss = classifier.loss(samples)
        loss.backward()
    named = classifier.network.named_parameters()
    return loss.item(), {name: p.grad.clone() for name, p in named if p.grad is not None}


def test_dropout_changes_losses_and_no_answer(trained_model: tuple[Network, data.Splits]) -> None:
    classifier, splits = trained_model
    texts, samples = splits.test.texts[:6], samples_of(classifier, splits, rows=6)
    expected, without = classifier.predict(texts).probabilities, classifier.loss(samples).item()
    dropouts = [layer for layer in classifier.network.modules() if isinstance(layer, nn.Dropout)]
    with pytest.MonkeyPatch.context() as patch:
        for layer in dropouts:
            patch.setattr(layer, "p", 0.5)
        assert np.array_equal(classifier.predict(texts).probabilities, expected)
        classifier.network.train()
        assert (classifier.loss(samples).item() == without) == (not dropouts)
        classifier.network.eval()


def test_packed_loss_and_gradients_equal_the_padded_ones(trained_model: tuple[Network, data.Splits]) -> None:
    classifier, splits = trained_model
    samples = samples_of(classifier, splits, rows=20)
    padded_loss, padded = loss_and_gradients(classifier, samples, Batching.padded)
    packed_loss, packed = loss_and_gradients(classifier, samples, Batching.packed)
    assert packed_loss == pytest.approx(padded_loss, rel=1e-5)
    assert packed.keys() == padded.keys()
    assert len(packed) == sum(p.requires_grad for p in classifier.network.parameters())
    largest = max(gradient.norm() for gradient in padded.values())
    # In fp32, torch's cross-entropy over a large vocabulary gives gradients that are 2e-5 off; ours are 7e-6 off.
    tolerance = 3e-5 if classifier.network.config.vocab_size > 40_000 else 1e-5
    for name, gradient in padded.items():
        # A key's bias adds the same to all scores of a query, so its gradient is zero except for rounding.
        scale = gradient.norm() if not re.search(r"k(ey|_proj|_lin)?\.bias$", name) else largest
        assert (packed[name] - gradient).norm() / scale < tolerance, name


def test_predictions_of_a_text_do_not_depend_on_the_others(trained_model: tuple[Network, data.Splits]) -> None:
    classifier, splits = trained_model
    texts = list(splits.test.texts[:8])
    before = classifier.predict(texts).probabilities
    texts[3] = "i had quite a different day and it was a long one with much to tell about every hour of it"
    after = classifier.predict(texts).probabilities
    others = [row for row in range(8) if row != 3]
    assert np.abs(after[others] - before[others]).max() < 1e-6
    assert np.abs(after[3] - before[3]).max() > 1e-6


def test_predictions_do_not_depend_on_batch_size_order_or_batching(
    trained_model: tuple[Network, data.Splits], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, splits = trained_model
    texts = list(splits.test.texts)
    expected = classifier.predict(texts).probabilities
    for size in (1, 5):
        monkeypatch.setattr(classifier, "prediction_batch_size", size)
        assert np.abs(classifier.predict(texts).probabilities - expected).max() < 5e-6
    assert np.abs(classifier.predict(texts[::-1]).probabilities[::-1] - expected).max() < 5e-6
    monkeypatch.setattr(classifier, "computation", replace(classifier.computation, batching=Batching.padded))
    assert np.abs(classifier.predict(texts).probabilities - expected).max() < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize(("model", "batch_size", "steps"), [("minilm", 20, 50), ("smollm2_lora", 2, 25)])
def test_packed_and_padded_training_end_with_the_same_predictions(
    model: str, batch_size: int, steps: int, compose_run: Compose, tmp_path: Path
) -> None:
    whole_data = ["dataset.synthetic.train=600", "dataset.synthetic.validation=6", "dataset.synthetic.test=100"]
    config = compose_run(f"model={model}", *whole_data)
    options = {"max_steps": steps, "batch_size": batch_size, "gradient_accumulation_steps": 1}
    packed, _, splits = trained(config, tmp_path, **options)
    padded, _, _ = trained(compose_run(f"model={model}", "model.batching=padded", *whole_data), tmp_path, **options)
    # Both predict in packed batches; another test compares packed and padded prediction.
    padded.computation = replace(padded.computation, batching=Batching.packed)
    ours, theirs = (classifier.predict(splits.test.texts) for classifier in (packed, padded))
    assert np.array_equal(ours.predicted, theirs.predicted)
    assert len(set(ours.predicted.tolist())) > 1
    assert np.abs(ours.probabilities - theirs.probabilities).max() < 1e-3


@pytest.mark.parametrize("model", TINY)
def test_the_last_layer_and_the_head_compute_only_positions_that_are_read(
    model: str, compose_run: Compose, tmp_path: Path
) -> None:
    classifier, _, splits = trained(compose_run(f"model={model}"), tmp_path)
    samples = samples_of(classifier, splits, rows=7)
    encoder_layers = isinstance(classifier, EncoderClassifier)
    body = classifier.network.base_model if encoder_layers else classifier.network.get_base_model().base_model
    layers = [layer.intermediate for layer in body.encoder.layer] if encoder_layers else [x.mlp for x in body.layers]
    if isinstance(classifier, EncoderClassifier):
        head = classifier.network.classifier
    else:
        by_head = classifier.readout is Readout.head
        head = classifier.network.get_base_model().score if by_head else classifier.network.get_output_embeddings()
    rows: list[int] = []
    for module in (*layers, head):
        module.register_forward_hook(lambda _, states, __: rows.append(states[0].shape[:-1].numel()))
    classifier.loss(samples)
    read = sum(len(sample.targets) for sample in samples)
    assert rows[-2:] == [read, read]
    assert all(computed > read for computed in rows[:-2])


@pytest.mark.parametrize(("batching", "replaced"), [("packed", True), ("padded", False)])
@pytest.mark.parametrize(("model", "kind"), [("tiny_bert", nn.Dropout), ("tiny_llama", LoraLinear)])
def test_layers_are_replaced_by_fused_ones_only_with_packed_batching(
    batching: str, replaced: bool, model: str, kind: type[nn.Module], compose_run: Compose, tmp_path: Path
) -> None:
    classifier, _, _ = trained(compose_run(f"model={model}", f"model.batching={batching}"), tmp_path)
    layers = [layer for layer in classifier.network.modules() if type(layer) is kind]
    assert layers
    assert all(("forward" in vars(layer)) is replaced for layer in layers)


def fail_above(samples_per_pass: int, family: type, error: RuntimeError) -> Callable[..., torch.Tensor]:
    loss = family.loss  # type: ignore[attr-defined]

    def loss_of_few(self: Any, samples: list[Sample]) -> torch.Tensor:
        result: torch.Tensor = loss(self, samples)
        if len(samples) > samples_per_pass:
            raise error
        return result

    return loss_of_few


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("tiny_bert", torch.OutOfMemoryError("CUDA out of memory.")),
        ("tiny_roberta", RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")),
        ("tiny_llama", torch.OutOfMemoryError("CUDA out of memory.")),
    ],
)
def test_out_of_memory_halves_the_pass_and_keeps_the_effective_batch(
    model: str, error: RuntimeError, compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose_run(f"model={model}", "recipe.learning_rate=1e-3")
    whole, once, splits = trained(config, tmp_path)
    assert once.pass_size == once.effective_batch == 20
    assert once.training_seconds is not None
    assert once.step_seconds is not None
    assert 0 < once.step_seconds <= once.training_seconds

    monkeypatch.setattr(type(whole), "loss", fail_above(6, type(whole), error))
    halved, twice, _ = trained(config, tmp_path)
    assert (twice.pass_size, twice.effective_batch) == (5, 20)
    losses = [[point.loss for point in report.curve if point.loss is not None] for report in (once, twice)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    texts = splits.test.texts
    assert np.abs(halved.predict(texts).probabilities - whole.predict(texts).probabilities).max() < 1e-6


def test_a_batch_smaller_than_a_pass_is_halved_itself(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory.")
    monkeypatch.setattr(EncoderClassifier, "loss", fail_above(3, EncoderClassifier, error))
    _, report, _ = trained(compose_run("model=tiny_bert", "dataset.train_rows=12", "recipe.max_steps=1"), tmp_path)
    assert [line for line in caplog.messages if "out of memory" in line] == [
        f"out of memory: continuing with {samples} samples per pass" for samples in (6, 3)
    ]
    assert report.pass_size == 3


def test_out_of_memory_on_one_sample_is_refused(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = fail_above(0, EncoderClassifier, torch.OutOfMemoryError("CUDA out of memory."))
    monkeypatch.setattr(EncoderClassifier, "loss", never)
    with pytest.raises(BenchmarkError, match="single sample"):
        trained(compose_run("model=tiny_bert"), tmp_path)


def test_other_errors_are_not_mistaken_for_out_of_memory(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EncoderClassifier, "loss", fail_above(0, EncoderClassifier, RuntimeError("shapes")))
    with pytest.raises(RuntimeError, match="^shapes$"):
        trained(compose_run("model=tiny_bert"), tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_flash_attention_on_the_gpu_gives_the_padded_loss_and_gradients(compose_run: Compose, tmp_path: Path) -> None:
    on_gpu = ["model.device=cuda", "model.attention=flash_attention_2", "model.precision=bf16"]
    classifier, _, splits = trained(compose_run("model=tiny_llama", *on_gpu), tmp_path)
    samples = samples_of(classifier, splits, rows=20)
    packed_loss, packed = loss_and_gradients(classifier, samples, Batching.packed)
    assert isinstance(classifier, DecoderClassifier)
    classifier.network.get_base_model().config._attn_implementation = "sdpa"
    padded_loss, padded = loss_and_gradients(classifier, samples, Batching.padded)
    assert packed_loss == pytest.approx(padded_loss, rel=1e-2)
    for name, gradient in padded.items():
        assert (packed[name] - gradient).norm() < 0.1 * gradient.norm() + 1e-3, name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    ("attention", "precision"), [("flash_attention_2", "bf16"), ("flash_attention_2", "fp16"), ("sdpa", "fp32")]
)
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta", "tiny_llama", "tiny_llama_head"])
def test_a_run_on_the_gpu_learns(
    model: str, attention: str, precision: str, compose_run: Compose, tmp_path: Path
) -> None:
    if model in ("tiny_bert", "tiny_roberta") and attention == "flash_attention_2" and not has_flash_attn():
        pytest.skip("attention with dropout needs the flash-attn package")
    options = [f"model={model}", "model.device=cuda", f"model.attention={attention}", f"model.precision={precision}"]
    _, report, _ = trained(compose_run(*options, "recipe.learning_rate=1e-3", "recipe.max_steps=30"), tmp_path)
    assert report.device.startswith("cuda")
    assert report.attention.startswith("packed, ")
    losses = [point.loss for point in report.curve if point.loss is not None]
    assert all(np.isfinite(losses))
    assert losses[-1] < losses[0]
