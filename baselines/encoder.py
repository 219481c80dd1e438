"""BERT, RoBERTa and relatives with a sequence-classification head, every weight trained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModel, AutoModelForSequenceClassification, DataCollatorWithPadding, set_seed

from baselines.packed.attention import check, packed_attention, usual
from baselines.packed.dropout import quicken
from baselines.packed.stream import Stream, pack
from baselines.training.hardware import (
    Attention,
    Batching,
    Computation,
    Device,
    Precision,
    autocast,
    fast_precisions,
    obstacles,
    resolve,
)
from baselines.training.memory import in_passes
from baselines.training.requirements import estimate, examine, tokens_a_text
from baselines.training.trainer import Sample, check_trackers, finetune
from baselines.weights.loading import load, on_meta
from baselines.weights.sources import Weights, identity
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Finding, FitContext, FitReport, ModelCard, Predictions

BEHIND_PADDING = ("roberta", "xlm-roberta", "camembert")  # their first position
LEARNED_POSITIONS = ("bert", "distilbert", "electra", *BEHIND_PADDING)


@dataclass
class EncoderClassifier:
    """`architecture` is transformers' configuration: checked against weights, used for random ones."""

    weights: Weights
    architecture: dict[str, Any]
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.sdpa
    batching: Batching = Batching.packed
    prediction_batch_size: int = 64

    def __post_init__(self) -> None:
        if self.prediction_batch_size < 1:
            raise BenchmarkError("model.prediction_batch_size must be at least 1.")

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.torch_device = resolve(self.device, self.precision, self.attention)
        self.max_length = context.recipe.max_length
        card = self.describe()  # an architecture that cannot be is to fail before it is trained
        check(card.architecture, self.batching)
        if too_long := self._too_long(card, context):
            raise BenchmarkError(too_long)
        check_trackers(context.report_to)
        set_seed(context.seed)
        loaded = load(
            AutoModelForSequenceClassification,
            self.weights,
            self.architecture,
            train.texts,
            torch.float32,
            usual(self.attention),
            id2label=dict(enumerate(context.labels)),
            label2id={label: index for index, label in enumerate(context.labels)},
        )
        self.tokenizer, self.network = loaded.tokenizer, loaded.network.to(self.torch_device)
        if self.batching is Batching.packed:
            quicken(self.network)
        token_ids, truncated = self._token_ids(train.texts)
        samples = [Sample(ids, [label]) for ids, label in zip(token_ids, train.labels.tolist(), strict=True)]
        return finetune(
            self.network,
            loaded,
            samples,
            truncated,
            self.loss,
            context,
            Computation(self.torch_device, self.precision, self.attention, self.batching),
            validation,
            self.predict,
        )

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        logits = self.logits([sample.input_ids for sample in samples])
        labels = torch.tensor([sample.targets[0] for sample in samples], device=logits.device)
        return functional.cross_entropy(logits, labels, reduction="sum")

    def logits(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        """(texts, labels) float32."""
        with autocast(self.torch_device, self.precision):
            return (self._packed(token_ids) if self.batching is Batching.packed else self._padded(token_ids)).float()

    def _padded(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        collate = DataCollatorWithPadding(self.tokenizer)
        batch = collate([{"input_ids": ids} for ids in token_ids]).to(self.torch_device)
        logits: torch.Tensor = self.network(**batch).logits
        return logits

    def _packed(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        """The head sees the last layer's first tokens only: (texts, 1, hidden)."""
        stream = pack(
            token_ids,
            [range(1)] * len(token_ids),
            causal=False,
            varlen=self.attention is Attention.flash_attention_2,
            first_position=_first_position(self.network.config),
        ).to(self.torch_device)
        body = self.network.base_model
        with packed_attention(self.network), _last_layer_where_read(body.encoder.layer[-1], stream):
            states = body(
                input_ids=stream.input_ids, position_ids=stream.position_ids, layout=stream.layout
            ).last_hidden_state.transpose(0, 1)
        if body.pooler is not None:
            states = self.network.dropout(body.pooler(states))
        logits: torch.Tensor = self.network.classifier(states)
        return logits

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Texts are batched by length and answered in their own order."""
        token_ids, truncated = self._token_ids(texts)
        by_length = sorted(range(len(texts)), key=lambda row: len(token_ids[row]))
        probabilities = np.zeros((len(texts), self.network.config.num_labels), dtype=np.float32)
        self.network.eval()

        def answer(rows: Sequence[int]) -> None:
            with torch.inference_mode():
                logits = self.logits([token_ids[row] for row in rows])
            probabilities[rows] = logits.softmax(dim=-1).cpu().numpy()

        in_passes(by_length, self.prediction_batch_size, answer)
        return replace(Predictions.from_probabilities(probabilities), truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        tokens = min(tokens_a_text(texts) + 2, context.recipe.max_length)
        card = self.describe()
        needed = estimate(card, self.precision, adapted=False, tokens_a_sample=tokens)
        hardware = obstacles(self.device, self.precision, self.attention)
        found = list(examine(self.weights, card, self.device, hardware, needed, context))
        too_long = self._too_long(card, context)
        return [Finding.stopping("max_length", too_long), *found] if too_long else found

    def _too_long(self, card: ModelCard, context: FitContext) -> str | None:
        """Where positions are learned, there is none behind the last."""
        asked, most = context.recipe.max_length, card.context_length
        if card.architecture not in LEARNED_POSITIONS or most is None or asked <= most:
            return None
        return (
            f"recipe.max_length is {asked}, but this model reads {most} tokens at most; set recipe.max_length={most}."
        )

    def describe(self) -> ModelCard:
        network = on_meta(AutoModel, self.architecture)
        config = network.config
        parameters = sum(parameter.numel() for parameter in network.parameters())
        return ModelCard(
            architecture=config.model_type,
            weights=identity(self.weights),
            parameters=parameters,
            trained_parameters=parameters,
            context_length=config.max_position_embeddings - _first_position(config),
            grouped_query_attention=False,
            dimensions={
                key: getattr(config, key)
                for key in (
                    "hidden_size",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "intermediate_size",
                    "vocab_size",
                )
                if hasattr(config, key)  # DistilBERT has another name for one
            },
        )

    def _token_ids(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Of every text, cut to `max_length`; and of how many something was cut."""
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)
        return encoded.input_ids, sum(bool(encoding.overflowing) for encoding in encoded.encodings)

    def fast_precisions(self) -> list[str]:
        return fast_precisions(self.precision)

    def in_precision(self, name: str) -> "EncoderClassifier":
        return replace(self, precision=Precision(name))

    def plain(self) -> "EncoderClassifier":
        return replace(self, batching=Batching.padded)


def _first_position(config: Any) -> int:
    """RoBERTa and its kin count positions from behind their padding's."""
    return int(config.pad_token_id) + 1 if config.model_type in BEHIND_PADDING else 0


@contextmanager
def _last_layer_where_read(layer: Any, stream: Stream) -> Iterator[None]:
    """Behind its attention, a layer treats every token alone: compute the last one only for tokens that are read."""
    handle = layer.attention.output.register_forward_pre_hook(
        lambda _, states: tuple(state[:, stream.read] for state in states)
    )
    try:
        yield
    finally:
        handle.remove()
