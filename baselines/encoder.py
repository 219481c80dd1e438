"""BERT, RoBERTa and related encoders with a classification head; all weights are trained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedConfig, set_seed

from baselines.cards import network_card
from baselines.packed.attention import loading_attention, resolve_batching
from baselines.packed.families import LEARNED_POSITIONS, first_position
from baselines.packed.fused import use_fast_dropout
from baselines.packed.passes import encoder_logits, padded
from baselines.training.bars import parts
from baselines.training.hardware import Attention, Batching, Device, Precision, autocast, fast_precisions
from baselines.training.memory import compute_rows
from baselines.training.requirements import check_positive, examine, failed, prepare, tokens_per_text
from baselines.training.trainer import Job, Sample, finetune, label_loss
from baselines.weights.loading import build_without_weights, load
from baselines.weights.sources import Weights
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Finding, FitContext, FitReport, ModelCard, Predictions

SPECIAL_TOKENS = 2  # around every text


@dataclass
class EncoderClassifier:
    """A fine-tuned encoder.

    `architecture` holds the options of transformers' configuration. Loaded weights are checked against it, and random
    ones are created from it.
    """

    weights: Weights
    architecture: dict[str, Any]
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.sdpa
    batching: Batching = Batching.packed
    prediction_batch_size: int = 64

    def __post_init__(self) -> None:
        check_positive(prediction_batch_size=self.prediction_batch_size)
        self.batching = resolve_batching(self.architecture["model_type"], self.batching)

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        computation = prepare(self, context)
        self.torch_device, self.max_length = computation.device, context.recipe.max_length
        check_length(self.describe(), self.max_length)
        set_seed(context.seed)
        loaded = load(
            AutoModelForSequenceClassification,
            self.weights,
            self.architecture,
            texts=train.texts,
            dtype=torch.float32,
            attention=loading_attention(self.attention),
            id2label=dict(enumerate(context.labels)),
            label2id={label: index for index, label in enumerate(context.labels)},
        )
        self.tokenizer, self.network = loaded.tokenizer, loaded.network.to(self.torch_device)
        if self.batching is Batching.packed:
            use_fast_dropout(self.network)
        token_ids, truncated = self._token_ids(train.texts)
        return finetune(
            Job(
                network=self.network,
                loaded=loaded,
                computation=computation,
                samples=[Sample(ids, [label]) for ids, label in zip(token_ids, train.labels.tolist(), strict=True)],
                truncated_texts=truncated,
                loss=self.loss,
                validation=validation,
                predict=self.predict,
                context=context,
            )
        )

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        return label_loss(self.logits([sample.input_ids for sample in samples]), samples)

    def logits(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        """(texts, labels) float32."""
        with autocast(self.torch_device, self.precision):
            return (self._packed(token_ids) if self.batching is Batching.packed else self._padded(token_ids)).float()

    def _padded(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        batch = padded(token_ids, self.tokenizer.pad_token_id, "right").to(self.torch_device)
        logits: torch.Tensor = self.network(**batch).logits
        return logits

    def _packed(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        varlen = self.attention is Attention.flash_attention_2
        return encoder_logits(self.network, token_ids, varlen, self.torch_device)

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Predict in batches of texts with similar length; the answers are in the order of `texts`."""
        token_ids, truncated = self._token_ids(texts)
        labels, size = self.network.config.num_labels, self.prediction_batch_size
        self.network.eval()
        probabilities = compute_rows(token_ids, labels, size, lambda part: self.logits(part).softmax(dim=-1), key=len)
        return replace(Predictions.from_probabilities(probabilities), truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        card, max_length = self.describe(), context.recipe.max_length
        tokens = min(tokens_per_text(texts) + SPECIAL_TOKENS, max_length)
        return [*failed("max_length", lambda: check_length(card, max_length)), *examine(self, tokens, context)]

    def describe(self) -> ModelCard:
        network = build_without_weights(AutoModel, self.architecture)
        settings = {"precision": self.precision.value, "attention": self.attention.value, "lora_rank": "none"}
        card = network_card("encoder", network, self.weights, settings)
        return replace(card, context_length=positions(network.config))

    def _token_ids(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The token ids of every text, cut to `max_length`, and the number of texts that were cut."""
        token_ids: list[list[int]] = []
        truncated = 0
        for part in parts(texts, "tokenising"):
            encoded = self.tokenizer(list(part), truncation=True, max_length=self.max_length)
            token_ids += encoded.input_ids
            truncated += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
        return token_ids, truncated

    def fast_precisions(self) -> list[str]:
        return fast_precisions(self.precision)

    def in_precision(self, name: str) -> "EncoderClassifier":
        return replace(self, precision=Precision(name))

    def plain(self) -> "EncoderClassifier":
        return replace(self, batching=Batching.padded)


def positions(config: PreTrainedConfig) -> int:
    """The number of tokens that the network reads at most."""
    return int(config.max_position_embeddings) - first_position(config)


def check_length(card: ModelCard, max_length: int) -> None:
    """Raise if texts can be longer than the learned positions."""
    longest = card.context_length
    if card.architecture in LEARNED_POSITIONS and longest is not None and max_length > longest:
        raise BenchmarkError(
            f"recipe.max_length is {max_length}, but this model reads at most {longest} tokens.",
            f"Set recipe.max_length={longest}.",
        )
