"""A decoder whose frozen weights have 4 bits, with bitsandbytes, which also computes on a CPU."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from factories import LABELS
from networks import named, save_model, scored

from benchmark.config import RunConfig
from benchmark.configuration.published import spec_of
from benchmark.errors import BenchmarkError
from benchmark.results.record import Status
from benchmark.run import runner

Compose = Callable[..., RunConfig]
SIZES = {"hidden_size": 64, "intermediate_size": 128}  # 64 weights share one scale
NF4 = "+model.quantization=nf4"
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")


@needs_bitsandbytes
@pytest.mark.parametrize(("model", "batching"), [("tiny_llama", "packed"), ("tiny_llama_head", "padded")])
def test_an_adapter_is_trained_beside_4_bit_weights(
    model: str, batching: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "own", model, **SIZES)
    source = ["model.weights.source=folder", f"model.weights.path={folder}", f"model.batching={batching}"]
    source += [f"model.architecture.{name}={size}" for name, size in SIZES.items()]
    options = [f"model={model}", "recipe.max_steps=6", "recipe.learning_rate=1e-2", *source]
    quantised, exact = (runner.run(compose_run(*options, *more)) for more in ([NF4], []))
    assert quantised.record.status is Status.completed
    assert quantised.record.digest != exact.record.digest
    assert quantised.record.card is not None
    assert quantised.record.card.settings["precision"] == "nf4 + fp32"
    fits = [run.record.fit for run in (quantised, exact)]
    assert len({fit.trained_parameters for fit in fits if fit}) == 1
    assert all(fit and fit.curve[-1].step == 6 for fit in fits)
    losses = [[point.loss for point in fit.curve if point.loss is not None] for fit in fits if fit]
    assert losses[0] != losses[1]
    assert np.isfinite(losses).all()


@needs_bitsandbytes
@pytest.mark.parametrize(
    ("model", "kept", "labels"),
    [("tiny_llama", "lm_head", ()), ("tiny_llama_head", "score", ()), ("tiny_llama_head", "score", LABELS)],
)
def test_all_layers_but_the_output_have_4_bits(
    model: str, kept: str, labels: tuple[str, ...], compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "own", model, **SIZES, **(named(labels) if labels else {}))
    sizes = [f"model.architecture.{name}={size}" for name, size in SIZES.items()]
    classifier, _, _ = scored(compose_run, model, folder, "recipe.max_steps=1", NF4, *sizes)
    network = classifier.network.get_base_model()
    layers = {type(getattr(layer, "base_layer", layer)).__name__ for layer in network.model.layers[0].mlp.children()}
    assert "Linear4bit" in layers
    output = getattr(network, kept)
    output = getattr(output, "original_module", output)
    assert type(output).__name__ == "Linear"


def test_a_model_without_quantisation_has_the_digest_that_it_had_before(compose_run: Compose) -> None:
    none = compose_run("model=tiny_llama", "+model.quantization=none")
    assert spec_of(none).as_json() == spec_of(compose_run("model=tiny_llama")).as_json()


@needs_bitsandbytes
def test_random_weights_are_not_quantised(compose_run: Compose) -> None:
    with pytest.raises(BenchmarkError, match=r"model\.weights\.source=random"):
        runner.run(compose_run("model=tiny_llama", NF4))


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_without_bitsandbytes_the_package_is_named(compose_run: Compose) -> None:
    with pytest.raises(BenchmarkError, match="bitsandbytes"):
        runner.run(compose_run("model=tiny_llama", NF4))
