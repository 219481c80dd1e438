"""The options of a decoder, as a YAML file in conf/model gives them, and what follows from them."""

from dataclasses import dataclass, field
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from baselines.compute.hardware import Attention, Batching, Device, Precision, Quantization
from baselines.decoder.label_scores import LabelScore
from baselines.decoder.prompt import Prompt
from baselines.packed.attention import resolve_batching
from baselines.training.requirements import check_positive
from baselines.weights.adapter import ADAPTER_FILES
from baselines.weights.kinds import Kind, check_kind
from baselines.weights.lora import CAUSAL_LM, SEQ_CLS, Lora
from baselines.weights.sources import Weights
from baselines.weights.starting_point import StartingPoint
from benchmark.errors import BenchmarkError
from benchmark.interface import ADDED_LATER, READS_FILES, Readout


@dataclass
class DecoderOptions:
    """The options of `DecoderClassifier`, which inherits them: Hydra and the records read them as its fields.

    `adapter` is a folder with an adapter that was trained before; then nothing is trained. Nor is it with
    `train=False`, which scores the weights as they are. `chat_template` is Jinja; None takes the tokenizer's.
    `max_new_tokens` limits free generation. With `shots`, a model that is not trained sees so many examples in the
    prompt and is read by whole labels: by their `score`, and if `calibrate` relative to texts without content.
    """

    weights: Weights
    architecture: dict[str, Any]
    instruction: str
    lora: Lora = field(default_factory=Lora)
    adapter: str | None = field(default=None, metadata={READS_FILES: ADAPTER_FILES})
    chat_template: str | None = None
    readout: Readout = Readout.labels
    max_new_tokens: int = 8
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.sdpa
    batching: Batching = Batching.packed
    prediction_batch_size: int = 64
    train: bool = field(default=True, metadata={ADDED_LATER: True})
    quantization: Quantization = field(default=Quantization.none, metadata={ADDED_LATER: True})
    prompt: Prompt = field(default=Prompt(), metadata={ADDED_LATER: True})
    shots: int | None = field(default=None, metadata={ADDED_LATER: True})
    score: LabelScore = field(default=LabelScore.sum, metadata={ADDED_LATER: True})
    calibrate: bool = field(default=False, metadata={ADDED_LATER: True})

    def __post_init__(self) -> None:
        check_positive(prediction_batch_size=self.prediction_batch_size, max_new_tokens=self.max_new_tokens)
        self._check_shots()
        if self.architecture:  # else it is read from the checkpoint later
            check_kind(self.architecture, Kind.decoder)

    @property
    def start(self) -> StartingPoint:
        """The weights, and perhaps the adapter, that `fit` starts from."""
        return StartingPoint(self.weights, self.train, self.adapter)

    @property
    def only_packed(self) -> bool:
        """Whether transformers' own attention is never used. Generation needs it, and it needs flash-attn."""
        packed = resolve_batching(self.architecture, self.batching) is Batching.packed
        return packed and self.readout is not Readout.generate

    @property
    def task(self) -> str:
        """The name that peft has for the kind of network."""
        return SEQ_CLS if self.readout is Readout.head else CAUSAL_LM

    @property
    def auto_class(self) -> Any:
        """The class that transformers has for the kind of network."""
        return AutoModelForSequenceClassification if self.readout is Readout.head else AutoModelForCausalLM

    def head_labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The labels of the classification head, none without one."""
        return labels if self.readout is Readout.head else ()

    def _check_shots(self) -> None:
        """Raise for options that `shots` excludes, and for options of its scores without it."""
        scoring = {"calibrate": self.calibrate, "score": self.score is not LabelScore.sum}
        option = next((name for name, used in scoring.items() if used), None)
        if self.shots is None and option is not None:
            raise BenchmarkError(
                f"model.{option} is set, but whole labels are scored only where model.shots is set.",
                f"Set model.train=false model.shots=0, or leave model.{option} out.",
            )
        if self.shots is None:
            return
        if self.shots < 0:
            raise BenchmarkError(f"model.shots is {self.shots}.", "Set it to 0 or more, or leave it out.")
        for conflict, fix, applies in (
            ("model.train is true", "Set model.train=false", self.train),
            ("model.adapter is set", "Leave model.adapter out", self.adapter is not None),
            ("model.readout is head", "Set model.readout=labels", self.readout is Readout.head),
        ):
            if applies:
                raise BenchmarkError(
                    f"model.shots is {self.shots}, but {conflict}: examples are shown to models that write their "
                    "answer and are not trained.",
                    f"{fix}, or leave model.shots out.",
                )
        if option is not None and self.readout is Readout.generate:
            raise BenchmarkError(
                f"model.{option} is set, but free generation has no scores of labels.",
                f"Set model.readout=labels, or leave model.{option} out.",
            )
