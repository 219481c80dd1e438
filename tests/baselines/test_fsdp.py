"""Sharding of a decoder's weights over processes, here over one."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM

from baselines.compute import memory
from baselines.training.fsdp import shard_layers
from baselines.weights.lora import Lora, without_adapter
from benchmark.errors import BenchmarkError


@pytest.fixture
def one_process() -> Iterator[None]:
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_the_frozen_weights_of_layers_are_sharded_and_nothing_else() -> None:
    size = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    network = Lora().attach(LlamaForCausalLM(LlamaConfig(**size, num_attention_heads=2, num_key_value_heads=2)))
    tokens = torch.arange(6)[None]
    expected = network(input_ids=tokens).logits
    shard_layers(network, torch.device("cpu"))
    sharded = {name for name, weight in without_adapter(network).named_parameters() if isinstance(weight, DTensor)}
    of_layers = {name for name, _ in without_adapter(network).named_parameters() if name.startswith("model.layers.")}
    assert sharded == {name for name in of_layers if ".lora_" not in name}
    assert len(sharded) == 2 * (4 + 3 + 2)
    torch.testing.assert_close(network(input_ids=tokens).logits, expected, rtol=0, atol=0)


def test_a_process_that_runs_out_of_memory_does_not_leave_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "weights_are_sharded", lambda: True)
    with pytest.raises(BenchmarkError, match="Memory ran out on 8 samples"):
        memory.smaller_pass(8, MemoryError())
