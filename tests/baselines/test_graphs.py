"""Filled streams and joined products give the plain losses and gradients; on a GPU, graphs do as well."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from networks import Compose, reference_kernel, samples_of, trained
from peft.tuners.lora import Linear
from torch import nn

from baselines.compute.hardware import Attention
from baselines.decoder import DecoderClassifier
from baselines.packed import functions, graphs
from baselines.packed.attention import _rotate
from baselines.packed.graphs import CaptureError, StepGraphs, size_of, trains_only
from baselines.packed.projections import JoinedProduct
from baselines.packed.sample import Sample
from baselines.packed.stream import Varlen, fill, pack

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture(autouse=True)
def variable_length_attention_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        monkeypatch.setattr("baselines.packed.attention.variable_length_kernel", lambda: reference_kernel)


def decoder(compose_run: Compose, folder: Path, *options: str) -> tuple[DecoderClassifier, list[Sample]]:
    """A tiny decoder after a few training steps, and samples of several lengths."""
    classifier, _, splits = trained(compose_run("model=tiny_llama", *options), folder)
    assert isinstance(classifier, DecoderClassifier)
    return classifier, samples_of(classifier, splits, rows=60)


def gradients(classifier: DecoderClassifier) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in classifier.network.named_parameters() if p.grad is not None}
    classifier.network.zero_grad()
    return found


def test_a_filled_stream_has_a_dummy_that_nobody_sees() -> None:
    sequences, reads = [[1, 2, 3, 4], [1, 2, 5]], [range(3, 4), range(1, 3)]
    stream = pack(sequences, reads, causal=True, varlen=True, prefix=1)
    filled = fill(stream, tokens=10, reads=5)
    assert filled.input_ids.tolist() == [[1, 2, 5, 2, 3, 4, 0, 0, 0, 0]]
    assert filled.position_ids.tolist() == [[0, 1, 2, 1, 2, 3, 0, 1, 2, 3]]
    assert filled.read.tolist() == [*stream.read.tolist(), 6, 6]
    layout = filled.layout
    assert isinstance(layout, Varlen)
    assert layout.query_ends.tolist() == [0, 1, 3, 6, 10]
    assert layout.key_ends.tolist() == [0, 1, 4, 8, 12]
    assert layout.keys is not None
    assert layout.keys.tolist() == [0, 0, 1, 2, 0, 3, 4, 5, 6, 7, 8, 9]


def test_sizes_are_few_and_leave_room_for_a_dummy() -> None:
    sizes = {tokens: size_of(tokens) for tokens in range(1, 5000)}
    assert all(tokens < size <= tokens + max(64, tokens / 8) for tokens, size in sizes.items())
    assert len({size for tokens, size in sizes.items() if 300 <= tokens <= 700}) == 7
    assert len({size for tokens, size in sizes.items() if 3000 <= tokens <= 4000}) <= 5


def test_steps_of_a_filled_stream_give_the_plain_loss_and_gradients(compose_run: Compose, tmp_path: Path) -> None:
    classifier, samples = decoder(compose_run, tmp_path)
    network = classifier._network
    assert trains_only(classifier.products, classifier.network)
    steps = network.graphs(classifier.products, samples, 12)
    for first in range(0, 60, 12):
        part = samples[first : first + 12]
        targets = sum(len(sample.targets) for sample in part)
        plain = classifier.loss(part) / targets
        plain.backward()  # type: ignore[no-untyped-call]
        expected = gradients(classifier)
        loss = steps.backpropagate(part, targets, lambda one: 8 * one)
        assert loss is not None
        assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
        found = gradients(classifier)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name] / 8, gradient, rtol=1e-4, atol=1e-5, msg=name)
    assert steps.replayed == 5
    assert 1 <= len(steps.steps) <= 3


def test_other_numbers_of_samples_too_many_sizes_and_failures_are_left_to_the_plain_way(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    classifier, samples = decoder(compose_run, tmp_path)

    def new() -> StepGraphs:
        return classifier._network.graphs(classifier.products, samples, 12)

    def tried(steps: StepGraphs, rows: int = 12) -> torch.Tensor | None:
        return steps.backpropagate(samples[:rows], 1, nn.Identity())

    assert tried(new(), rows=11) is None
    monkeypatch.setattr(graphs, "MOST_SIZES", 0)
    assert tried(new()) is None
    monkeypatch.undo()
    monkeypatch.setattr("baselines.packed.attention.variable_length_kernel", lambda: reference_kernel)
    for failure in (CaptureError("operation not permitted"), torch.OutOfMemoryError("CUDA out of memory.")):
        failing = new()
        monkeypatch.setattr(failing, "_prepare_step", raising(failure))
        assert tried(failing) is None
        assert not failing.works
        assert f"without CUDA graphs: {failure}" in caplog.text
        monkeypatch.setattr(failing, "_prepare_step", raising(AssertionError("graphs are not tried again")))
        assert tried(failing) is None
    assert all(p.grad is None for p in classifier.network.parameters())
    classifier.loss(samples[:3]).backward()  # type: ignore[no-untyped-call]
    assert gradients(classifier)


@pytest.mark.parametrize(
    "mistake", [RuntimeError("shape '[3]' is invalid for input of size 1"), NotImplementedError("no dropout")]
)
def test_a_programming_error_in_a_step_is_not_taken_for_a_failed_capture(
    mistake: RuntimeError, compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, samples = decoder(compose_run, tmp_path)
    steps = classifier._network.graphs(classifier.products, samples, 12)
    monkeypatch.setattr(steps, "loss", raising(mistake))
    with pytest.raises(type(mistake)):
        steps.backpropagate(samples[:12], 1, nn.Identity())


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_a_step_without_a_graph_gets_the_memory_of_the_graphs_before_it_is_divided(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch of an epoch has 3 rows, and does not fit beside the graph of the batch of 20."""
    compute, held = DecoderClassifier.loss, []

    def graphs_on_a_cpu(self: DecoderClassifier, samples: list[Sample], batch: int) -> StepGraphs:
        held.append(self._network.graphs(self.products, samples, batch))
        return held[0]

    def loss(self: DecoderClassifier, samples: list[Sample]) -> torch.Tensor:
        if held[0].steps:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compute(self, samples)

    monkeypatch.setattr(DecoderClassifier, "step_graphs", graphs_on_a_cpu)
    monkeypatch.setattr(DecoderClassifier, "loss", loss)
    _, report, _ = trained(compose_run("model=tiny_llama", "dataset.train_rows=23"), tmp_path)
    assert (report.steps, report.graph_steps, report.pass_size) == (2, 1, 20)


def test_adapters_of_some_layers_or_a_head_are_not_captured(compose_run: Compose, tmp_path: Path) -> None:
    head, _, _ = trained(compose_run("model=tiny_llama_head"), tmp_path)
    assert isinstance(head, DecoderClassifier)
    assert not trains_only(head.products, head.network)


@pytest.mark.parametrize("targets", [["all-linear"], ["q_proj", "v_proj"], ["gate_proj", "up_proj"]])
def test_layers_are_joined_where_all_of_them_are_adapted(
    targets: list[str], compose_run: Compose, tmp_path: Path
) -> None:
    classifier, _ = decoder(compose_run, tmp_path, f"model.lora.targets={targets}")
    together = sorted(len(product.sizes) for product in classifier.products)
    layers = classifier.architecture["num_hidden_layers"]
    expected = {"all-linear": [1, 1, 2, 3], "q_proj": [1, 1], "gate_proj": [2]}[targets[0]]
    assert together == sorted(expected * layers)


def test_joined_layers_share_the_memory_of_their_weights(compose_run: Compose, tmp_path: Path) -> None:
    classifier, _ = decoder(compose_run, tmp_path)
    joined = [product for product in classifier.products if len(product.sizes) > 1]
    assert joined
    for product in joined:
        weights, memory = [layer.base_layer.weight for layer in product.layers], product.weight.untyped_storage()
        assert {weight.untyped_storage().data_ptr() for weight in weights} == {memory.data_ptr()}
        torch.testing.assert_close(torch.cat([weight.detach() for weight in weights]), product.weight, rtol=0, atol=0)


def test_the_token_loss_equals_cross_entropy() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 11, generator=random).requires_grad_()
    targets = torch.tensor([3, -100, 0, 10, -100, 5, 5])
    expected = nn.functional.cross_entropy(logits, targets, reduction="sum", ignore_index=-100)
    found = functions.TokenLoss.apply(logits, targets)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected)
    scaled = [torch.autograd.grad(3 * loss, logits)[0] for loss in (found, expected)]
    torch.testing.assert_close(*scaled)


def test_the_token_loss_is_exact_where_the_answer_is_almost_certain() -> None:
    logits = torch.tensor([[1000.0, 990.0, 985.0]]).requires_grad_()
    loss = functions.TokenLoss.apply(logits, torch.tensor([0]))  # type: ignore[no-untyped-call]
    doubt = torch.tensor([-10.0, -15.0], dtype=torch.float64).exp()
    assert loss.item() == pytest.approx(doubt.sum().log1p().item(), rel=1e-2)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[0, 1:].tolist() == pytest.approx((doubt / (1 + doubt.sum())).tolist(), rel=1e-4)


def test_the_gated_product_equals_its_definition() -> None:
    both = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    gate, up = both.chunk(2, dim=-1)
    expected, found = nn.functional.silu(gate) * up, functions.GatedProduct.apply(both)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected)
    weight = torch.arange(12.0)
    ours, theirs = (torch.autograd.grad((result * weight).sum(), both)[0] for result in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_the_rotation_equals_transformers() -> None:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    random = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, heads, 5, 8, generator=random).requires_grad_() for heads in (4, 2))
    angles = torch.rand(1, 5, 4, generator=random).repeat(1, 1, 2)
    found = _rotate(query, key, angles.cos(), angles.sin())
    expected = apply_rotary_pos_emb(query, key, angles.cos(), angles.sin())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    ours, theirs = (
        torch.autograd.grad(sum((part * torch.arange(8.0)).square().sum() for part in parts), (query, key))
        for parts in (found, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


ON_GPU = ("model.device=cuda", f"model.attention={Attention.flash_attention_2.value}")


@pytest.mark.gpu
@CUDA
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_graphs_on_the_gpu_give_the_gradients_of_the_plain_way(
    precision: str, compose_run: Compose, tmp_path: Path
) -> None:
    classifier, samples = decoder(compose_run, tmp_path, *ON_GPU, f"model.precision={precision}")
    steps = classifier._network.graphs(classifier.products, samples, 12)
    for first in [*range(0, 60, 12), 0]:  # the last is replayed from the first capture
        part = samples[first : first + 12]
        targets = sum(len(sample.targets) for sample in part)
        plain = classifier.loss(part) / targets
        plain.backward()  # type: ignore[no-untyped-call]
        expected = gradients(classifier)
        loss = steps.backpropagate(part, targets, nn.Identity())
        assert loss is not None
        assert loss.item() == pytest.approx(plain.item(), rel=1e-2)
        for name, gradient in gradients(classifier).items():
            assert (gradient - expected[name]).norm() < 0.05 * expected[name].norm() + 1e-3, name


@pytest.mark.gpu
@CUDA
def test_a_training_on_the_gpu_replays_graphs_and_equals_the_eager_one(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*ON_GPU, "model.precision=bf16", "recipe.max_steps=12"]
    _, replayed, _ = trained(compose_run("model=tiny_llama", *options), tmp_path / "graphs")
    monkeypatch.setattr(graphs, "MOST_SIZES", 0)
    _, eager, _ = trained(compose_run("model=tiny_llama", *options), tmp_path / "eager")
    assert replayed.graph_steps
    assert eager.graph_steps == 0
    losses = [[point.loss for point in report.curve if point.loss is not None] for report in (replayed, eager)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)


@pytest.mark.gpu
@CUDA
def test_a_training_goes_on_without_graphs_if_memory_runs_out_in_the_capture(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "_capture", raising(torch.OutOfMemoryError("CUDA out of memory.")))
    _, report, _ = trained(compose_run("model=tiny_llama", *ON_GPU, "model.precision=bf16"), tmp_path)
    assert report.graph_steps == 0
    assert report.steps > 0


def test_a_product_of_one_layer_uses_its_own_adapter() -> None:
    from peft import LoraConfig, get_peft_model

    network = get_peft_model(nn.Sequential(nn.Linear(6, 4)), LoraConfig(r=2, target_modules=["0"]))  # type: ignore[arg-type]
    (layer,) = [module for module in network.modules() if type(module) is Linear]
    product = JoinedProduct([layer])
    down, up = (torch.zeros(shape) for shape in product.shapes())
    assert [block.shape for block in product.blocks(down, up)] == [parameter.shape for parameter in product.parameters]


def test_predictions_read_the_adapters_of_the_last_step(compose_run: Compose, tmp_path: Path) -> None:
    classifier, samples = decoder(compose_run, tmp_path)
    texts = ["i feel well", "i feel quite lost today"]
    before = classifier.predict(texts).probabilities
    trained = [p for p in classifier.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.1, fused=True)  # which does not count its changes in `_version`
    classifier.loss(samples).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert abs(classifier.predict(texts).probabilities - before).max() > 1e-3
