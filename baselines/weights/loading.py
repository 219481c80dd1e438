"""Load a tokenizer and a network from a pinned checkpoint, or create them with random weights."""

import io
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from baselines.compute.hardware import Attention, Quantization, check_quantization
from baselines.compute.memory import is_out_of_memory
from baselines.weights.adapter import Adapter
from baselines.weights.compatibility import CheckpointFiles, check_declared, check_files
from baselines.weights.gguf import dequantised_copy
from baselines.weights.heads import order_of, renew_head, reorder, trained_head
from baselines.weights.sources import Checkpoint, Source, Weights, fetch, identity
from baselines.weights.starting_point import RequiredWeights, check_complete, check_random, missing_head_error
from baselines.weights.tokenizer import train_tokenizer
from benchmark.errors import BenchmarkError
from benchmark.interface import WeightSource

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A tokenizer and a network, with the source of its weights."""

    tokenizer: PreTrainedTokenizerBase
    network: PreTrainedModel
    source: WeightSource
    order: tuple[int, ...] | None = None
    """`order[i]`: the checkpoint's id of data-set label i; None if it does not name these labels."""

    def with_adapter(self, adapter: Adapter, adapted: PeftModel, labels: Sequence[str]) -> "Loaded":
        """The checkpoint with the source of its adapter.

        A head of the adapter has the labels that the adapter names, or else the labels that the base names.
        """
        source = replace(self.source, adapter=adapter.source, head=None, trained_head=None)
        if not adapter.has_head:
            return replace(self, source=source)
        if adapter.labels is not None:
            if (order := order_of(adapter.labels, labels)) is None:
                raise BenchmarkError(
                    f"The labels of the adapter {adapter.source.name} are {', '.join(adapter.labels)}, which are not "
                    "those of the data set.",
                    "Choose the data set that it was trained on.",
                )
            reorder(adapted.get_base_model(), order)
            return replace(self, source=replace(source, head="of the adapter, which names its labels"))
        if self.order is None:
            head = "of the adapter; its labels have no names, so they are taken in the order of the data set"
            return replace(self, source=replace(source, head=head))
        reorder(adapted.get_base_model(), self.order)
        return replace(self, source=replace(source, head="of the adapter, in the order that its base model names"))


def load(
    auto_class: Any,
    weights: Weights,
    architecture: dict[str, Any],
    *,
    texts: Iterable[str],
    dtype: torch.dtype,
    attention: Attention,
    labels: Sequence[str] = (),
    needed: RequiredWeights = RequiredWeights.body,
    quantization: Quantization = Quantization.none,
    device: torch.device | str = "cpu",
) -> Loaded:
    """The tokenizer, and the network of class `auto_class` in `dtype`.

    With `labels`, the network is a classifier: its head is the checkpoint's if that names the same labels, else a new
    one, with rows in the order of `labels`. Random weights are made on `device`, and their tokenizer is trained on
    `texts`. Quantised weights are on the GPU that computes them, and others on the CPU. Raises `BenchmarkError` if the
    checkpoint cannot be loaded, or lacks what is `needed`.
    """
    transformers_logging.set_verbosity_error()  # the warnings about a new classification head are expected
    transformers_logging.disable_progress_bar()
    check_quantization(quantization, weights.source is Source.random)
    check_random(weights, labels, needed)
    implementation = None if attention is Attention.auto else attention.value
    options: dict[str, Any] = {"attn_implementation": implementation, "dtype": dtype}
    if weights.source is Source.random:
        tokenizer = train_tokenizer(architecture, texts)
        described = architecture | _label_options(labels) | {"pad_token_id": tokenizer.pad_token_id}
        with torch.device(device):  # a GPU draws billions of numbers in a second
            network = auto_class.from_config(AutoConfig.for_model(**described), **options)
        return Loaded(tokenizer, network, WeightSource("random"))
    checkpoint, checked = fetch_checked(auto_class, weights, architecture, labels, needed)
    options |= _quantization_options(checkpoint, quantization, dtype, identity(weights))
    head, source = checked.head, checkpoint.source
    if head is None or head.order is None:  # else the names are those of the checkpoint until its rows are in our order
        options |= _label_options(labels)
    random_state = torch.get_rng_state()
    network = _read(auto_class, weights, checkpoint, needed, options)
    if head is not None and head.order is None:
        log.info("the weights come with a trained head, which is %s", head.description)
        torch.set_rng_state(random_state)  # on a CPU the new head is that of the same weights without one
        renew_head(network)
    if head is not None:
        source = replace(source, head=head.description, trained_head=head.order is not None)
    if labels:
        network.config.problem_type = None  # that of the checkpoint would make a saved model one of several labels
    if head is not None and head.order is not None:
        reorder(network, head.order)
        network.config.id2label, network.config.label2id = _label_options(labels).values()
    order = trained_head(checked.config, labels).order if labels else None
    return Loaded(checked.tokenizer, network, source, order)


def fetch_checked(
    auto_class: Any, weights: Weights, architecture: dict[str, Any], labels: Sequence[str], needed: RequiredWeights
) -> tuple[Checkpoint, CheckpointFiles]:
    """The checkpoint, checked by all that can be found without reading its weights."""
    checkpoint = fetch(weights)
    with loading_errors_explained(weights, checkpoint), _progress_on_terminals_only():
        if weights.source is not Source.folder and checkpoint.options:
            checkpoint = replace(checkpoint, folder=dequantised_copy(checkpoint), gguf_file=None)
        checked = check_files(auto_class, checkpoint, labels)
    check_declared(checked.config, architecture, identity(weights))
    if needed is RequiredWeights.all and labels and (checked.head is None or checked.head.order is None):
        raise missing_head_error(identity(weights), checked.head)
    return checkpoint, checked


@contextmanager
def loading_errors_explained(weights: Weights, checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what transformers raises for files that it cannot read into a `BenchmarkError`."""
    try:
        yield
    except (BenchmarkError, MemoryError):
        raise
    except Exception as error:  # damaged files raise struct.error, SafetensorError or a bare Exception of tokenizers
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        place, of_user = checkpoint.folder / (checkpoint.gguf_file or ""), weights.source is Source.folder
        fix = "Put an intact checkpoint there." if of_user else f"Delete {checkpoint.folder} to download them again."
        if isinstance(error, ImportError):
            fix = "Install the package that is missing."
        problem = f"The weights {identity(weights)} in {place} cannot be loaded ({shorten(reason, 200)})."
        raise BenchmarkError(problem, fix) from error


def _read(
    auto_class: Any, weights: Weights, checkpoint: Checkpoint, needed: RequiredWeights, options: dict[str, Any]
) -> PreTrainedModel:
    """The network with the weights of the checkpoint, which must have what is `needed`."""
    with loading_errors_explained(weights, checkpoint), _progress_on_terminals_only():
        network, info = auto_class.from_pretrained(
            checkpoint.folder,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_complete refuses them
            use_safetensors=True,
            trust_remote_code=False,
            **checkpoint.options,
            **options,
        )
    missing = info["missing_keys"] | {name for name, *_ in info["mismatched_keys"]}
    body = network.base_model_prefix if auto_class is AutoModelForSequenceClassification else None
    check_complete(missing, body, identity(weights), needed)
    if weights.hub_id is not None:
        network.name_or_path = weights.hub_id  # which a saved adapter names as its base
    return network


def _quantization_options(
    checkpoint: Checkpoint, quantization: Quantization, dtype: torch.dtype, model: str
) -> dict[str, Any]:
    """Options of `from_pretrained` for a GGUF file, and for 4-bit weights."""
    is_gguf = checkpoint.gguf_file is not None
    if quantization is Quantization.none:  # a GGUF file in the user's folder may be too large for a second copy
        return {"quantization_config": GgufConfig(dequantize=True)} if is_gguf else {}
    if is_gguf:
        raise BenchmarkError(
            f"The weights {model} are a GGUF file, which model.quantization=nf4 cannot quantise again.",
            "Give them as safetensors, or set model.quantization=none.",
        )
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": nf4}


def _label_options(labels: Sequence[str]) -> dict[str, Any]:
    if not labels:
        return {}
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def _progress_on_terminals_only() -> AbstractContextManager[object]:
    """Keep the progress bar of dequantisation, which has no option, out of log files."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
