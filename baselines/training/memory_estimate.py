"""How much memory fine-tuning or prediction takes, and whether this machine has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
import torch

from baselines.compute.hardware import DTYPES, Device, Precision, Quantization, uses_gpu
from benchmark.interface import CheckResult, ModelCard

TOKENS_PER_WORD = 1.3
WORDS_PER_TEXT = 20  # of a tweet; used when there are no texts yet
PROCESS_BYTES = 600e6
"""Of Python with its libraries, or of a CUDA context; measured, approximately."""
NF4_BYTES = 0.516
"""Of a weight in 4 bits with its share of the doubly quantised scales (Dettmers et al., 2023)."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Approximate bytes that fine-tuning takes, or prediction alone."""

    weights: float  # as they are loaded; part of `fixed`
    fixed: float  # network, gradients and optimiser
    per_sample: float  # activations

    def total(self, samples: int) -> float:
        """Bytes with so many samples in a pass."""
        return self.fixed + samples * self.per_sample


def estimate_memory(
    card: ModelCard,
    precision: Precision,
    tokens_per_sample: float,
    quantization: Quantization = Quantization.none,
    fused: bool = False,
) -> MemoryEstimate:
    """Estimate the memory of fine-tuning, or of prediction if the model has no trained parameters.

    A decoder's base is kept in `precision` or quantised, and its adapters in fp32; an encoder is in fp32. AdamW keeps
    two fp32 moments and a gradient of each trained parameter. For the backward pass, each layer keeps about 20 rows of
    the hidden size and 6 of the intermediate size per token, in `precision`, and 12 and 4 where `fused` LoRA layers
    keep less (measured with Llama 3 8B on a GPU). In prediction, all layers reuse the memory of one.
    """
    assert card.parameters is not None
    assert card.trained_parameters is not None
    size = DTYPES[precision].itemsize
    decoder = card.kind == "decoder"
    hidden = card.dimensions["hidden_size"]
    base = card.parameters * size
    if quantization is Quantization.nf4:  # embeddings and output stay as they are; counted twice if they are tied
        kept = min(2 * card.dimensions.get("vocab_size", 0) * hidden, card.parameters)
        base = kept * size + (card.parameters - kept) * NF4_BYTES
    weights = base + card.trained_parameters * 4 if decoder else card.parameters * 4
    wide, inner = (12, 4) if fused else (20, 6)
    values_per_token = wide * hidden + inner * card.dimensions.get("intermediate_size", 4 * hidden)
    layers = card.dimensions["num_hidden_layers"] if card.trained_parameters else 1
    activations = layers * values_per_token * size
    fixed = PROCESS_BYTES + weights + 12 * card.trained_parameters
    return MemoryEstimate(weights, fixed, tokens_per_sample * activations)


def tokens_per_text(texts: Sequence[str]) -> float:
    """The approximate mean number of tokens of a text, from its words; without texts, the number of a tweet."""
    words = sum(len(text.split()) for text in texts) / len(texts) if texts else WORDS_PER_TEXT
    return TOKENS_PER_WORD * words


def memory_check(device: Device, needed: MemoryEstimate, samples: int) -> CheckResult:
    """Whether the memory of the requested device is large enough."""
    total = gigabytes(needed.total(samples))
    if device is Device.cuda and not uses_gpu(device):
        problem = f"about {total} of GPU memory needed with {samples} samples per pass, but no GPU"
        return CheckResult("memory", problem, "Run on a GPU with that much memory.")
    kind, free = "memory", _available_memory()
    if uses_gpu(device):
        kind, free = "GPU memory", float(torch.cuda.mem_get_info()[0])
    state = f"{gigabytes(free)} of {kind} free, about {total} needed with {samples} samples per pass"
    if needed.total(1) > free:
        fix = "Free some memory, lower model.precision or recipe.max_length, or choose a smaller model."
        return CheckResult("memory", f"{state} and {gigabytes(needed.total(1))} with one", fix)
    return CheckResult(
        "memory", state if needed.total(samples) <= free else f"{state}; passes will be halved until they fit"
    )


def four_bit_hint(needed: MemoryEstimate) -> str:
    """A sentence that says what 4-bit weights need, and whether that fits a GPU here."""
    needs = (
        f"+model.quantization=nf4 with model.precision=bf16 needs about {gigabytes(needed.total(1))} with one sample"
    )
    if not torch.cuda.is_available():
        return f"On a smaller GPU, {needs}."
    fits = needed.total(1) <= torch.cuda.mem_get_info()[0]
    return f"{needs}, which {'fits' if fits else 'does not fit'} the GPU here."


def loading_checks(device: Device, needed: MemoryEstimate) -> Iterator[CheckResult]:
    """A failed check if the weights do not fit into the main memory, where they are read before they go to a GPU."""
    free = _available_memory()
    if uses_gpu(device) and needed.weights > free:
        yield CheckResult(
            "loading",
            f"{gigabytes(free)} of memory free, {gigabytes(needed.weights)} needed to read the weights before they go "
            "to the GPU",
            "Free some memory, or choose a smaller model.",
        )


def gigabytes(size: float) -> str:
    """A number of bytes as messages of `doctor` write it."""
    return f"{size / 1e9:.1f} GB"


def _available_memory() -> float:
    return float(psutil.virtual_memory().available)
