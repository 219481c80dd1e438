"""The classification head that comes with a checkpoint: whose labels it has, and in which order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from benchmark.interface import normalized_label

HEADS = ("classifier", "score")
"""How the names of the modules end that peft saves with an adapter of a classifier: `pre_classifier` is one, too."""
GENERIC = re.compile(r"LABEL_\d+")
"""The names that transformers writes where nobody named the labels."""


@dataclass(frozen=True)
class TrainedHead:
    """A head among the weights. `names` are its labels by id, or None without names.

    `order[label id]` is the head's own id of each label of the data set; None if the labels are not the same.
    """

    names: tuple[str, ...] | None
    order: tuple[int, ...] | None

    @property
    def description(self) -> str:
        """A phrase about the head, for the record."""
        if self.order is None:
            return f"replaced by a new one; {self.labels}"
        return "kept" if self.order == tuple(range(len(self.order))) else f"kept, rows reordered by name; {self.labels}"

    @property
    def labels(self) -> str:
        """A phrase that lists the labels."""
        return "it names no labels" if self.names is None else f"its labels are {', '.join(self.names)}"


def trained_head(config: PreTrainedConfig, labels: Sequence[str]) -> TrainedHead:
    """The head of a checkpoint that has one, compared with the labels of the data set.

    Names are compared without case, outer space and Unicode form. A head that was trained for several labels per text,
    or for numbers, is not one for these labels.
    """
    names = head_label_names(config, all(map(GENERIC.fullmatch, labels)))
    if names is None or config.problem_type not in (None, "single_label_classification"):
        return TrainedHead(names, None)
    return TrainedHead(names, order_of(names, labels))


def order_of(names: Sequence[str], labels: Sequence[str]) -> tuple[int, ...] | None:
    """The place of each label among `names`; None if they are not the same labels."""
    given, wanted = ([normalized_label(name) for name in several] for several in (names, labels))
    if sorted(given) != sorted(wanted) or len(set(given)) < len(given):
        return None
    return tuple(map(given.index, wanted))


def head_label_names(config: PreTrainedConfig, generic: bool = False) -> tuple[str, ...] | None:
    """The names of a head's labels by id; None if there are none, or if `id2label` and `label2id` contradict.

    `LABEL_0`, `LABEL_1`, ... are names with `generic` only.
    """
    of_ids = {int(index): str(name) for index, name in (config.id2label or {}).items()}
    of_names = {int(index): str(name) for name, index in (config.label2id or {}).items()}
    stated = [
        names for names in (of_ids, of_names) if names and (generic or not all(map(GENERIC.fullmatch, names.values())))
    ]
    if not stated or any(names != stated[0] for names in stated) or sorted(stated[0]) != list(range(len(stated[0]))):
        return None
    return tuple(stated[0][index] for index in range(len(stated[0])))


def head_modules(network: PreTrainedModel) -> list[str]:
    """The names of the network's parts outside its body."""
    return [name for name, _ in network.named_children() if name != network.base_model_prefix]


def output_layer(network: PreTrainedModel) -> str | None:
    """The name of the last linear layer outside the body, which computes the scores of the labels."""
    layers = [
        f"{part}.{name}".rstrip(".")
        for part in head_modules(network)
        for name, module in network.get_submodule(part).named_modules()
        if isinstance(module, nn.Linear)
    ]
    return layers[-1] if layers else None


def renew_head(network: PreTrainedModel) -> None:
    """Draw the head anew, as transformers does for weights without one.

    Its `from_pretrained` keeps a stored head whose shapes fit, whatever its labels are.
    """
    for part in head_modules(network):
        for module in network.get_submodule(part).modules():
            for value in (module, *module.parameters(recurse=False)):
                value._is_hf_initialized = False  # else transformers leaves it as it is
            network._init_weights(module)


def reorder(network: PreTrainedModel, order: Sequence[int]) -> None:
    """Give the rows of the head's last layer the order of the data set's labels."""
    last = output_layer(network)
    assert last is not None
    with torch.no_grad():
        for parameter in network.get_submodule(last).parameters():
            parameter.copy_(parameter[list(order)])
