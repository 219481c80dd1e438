"""FSDP2: the weights of a decoder's layers, sharded over the processes of one run.

Each process holds a part of every layer, and the whole layer only while it computes it. Adapters, embeddings and output
are whole in every process: they are small, and training, checkpoints and saving work as in any other run.
"""

import torch
from peft import PeftModel
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from baselines.weights.lora import without_adapter
from benchmark import processes
from benchmark.errors import BenchmarkError


def shard_layers(network: PeftModel | PreTrainedModel, device: torch.device) -> None:
    """Leave this process its part of the frozen weights of each layer, on `device`."""
    body = without_adapter(network).base_model
    mesh = init_device_mesh(device.type, (processes.world_size(),))
    layers = [module for module in body.modules() if type(module).__name__ in (body._no_split_modules or ())]
    frozen = {weight for layer in layers for weight in layer.parameters() if not weight.requires_grad}
    if not layers:
        raise not_supported(f"the architecture {body.config.model_type}", "Leave FSDP out.")
    for module in [*layers, body]:  # the body last, so that one layer is fetched while another is computed
        fully_shard(module, mesh=mesh, ignored_params=set(module.parameters()) - frozen)


def check_unsharded(what: str, fix: str) -> None:
    """Raise if the processes hold a part of the weights each, which `what` does not allow."""
    if processes.weights_are_sharded():
        raise not_supported(what, fix)


def not_supported(what: str, fix: str) -> BenchmarkError:
    return BenchmarkError(f"FSDP does not support {what}.", fix)
