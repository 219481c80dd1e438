"""BERT, RoBERTa and relatives with a sequence-classification head, every weight trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModel, AutoModelForSequenceClassification, DataCollatorWithPadding, set_seed

from baselines.finetune import Sample, check_trackers, finetune, fit_report
from baselines.hardware import Attention, Device, Precision, autocast, resolve
from baselines.loading import load, on_meta
from baselines.weights import Weights, identity
from benchmark.classifier import BenchmarkError, Examples, FitContext, FitReport, ModelCard, Predictions


@dataclass
class EncoderClassifier:
    """`architecture` is transformers' configuration: checked against weights, used for random ones."""

    weights: Weights
    architecture: dict[str, Any]
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.sdpa
    prediction_batch_size: int = 64

    def __post_init__(self) -> None:
        if self.prediction_batch_size < 1:
            raise BenchmarkError("model.prediction_batch_size must be at least 1.")

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.torch_device = resolve(self.device, self.precision, self.attention)
        self.max_length = context.recipe.max_length
        check_trackers(context.report_to)
        set_seed(context.seed)
        loaded = load(
            AutoModelForSequenceClassification,
            self.weights,
            self.architecture,
            train.texts,
            torch.float32,
            self.attention,
            num_labels=len(context.labels),
        )
        self.tokenizer, self.network = loaded.tokenizer, loaded.network.to(self.torch_device)
        self.collate = DataCollatorWithPadding(self.tokenizer)
        samples: list[Sample] = [
            {"input_ids": ids, "labels": label}
            for ids, label in zip(self._token_ids(train.texts), train.labels.tolist(), strict=True)
        ]
        training = finetune(
            self.network,
            samples,
            self.collate,
            context,
            self.torch_device,
            self.precision,
            validation,
            self.predict,
            cross_entropy,
        )
        full_lengths = map(len, self.tokenizer(list(train.texts)).input_ids)
        truncated = sum(length > self.max_length for length in full_lengths)
        return fit_report(training, loaded, self.network, self.torch_device, self.precision, context, truncated)

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Texts are batched by length, so that little is padded, and answered in their own order."""
        token_ids = self._token_ids(texts)
        by_length = sorted(range(len(texts)), key=lambda row: len(token_ids[row]))
        probabilities = np.zeros((len(texts), self.network.config.num_labels), dtype=np.float32)
        self.network.eval()
        for start in range(0, len(texts), self.prediction_batch_size):
            rows = by_length[start : start + self.prediction_batch_size]
            batch = self.collate([{"input_ids": token_ids[row]} for row in rows]).to(self.torch_device)
            with torch.inference_mode(), autocast(self.torch_device, self.precision):
                logits = self.network(**batch).logits
            probabilities[rows] = logits.float().softmax(dim=-1).cpu().numpy()
        return Predictions.from_probabilities(probabilities)

    def describe(self) -> ModelCard:
        network = on_meta(AutoModel, self.architecture)
        config = network.config
        parameters = sum(parameter.numel() for parameter in network.parameters())
        offset = config.pad_token_id + 1 if config.model_type == "roberta" else 0  # its positions start behind padding
        return ModelCard(
            architecture=config.model_type,
            weights=identity(self.weights),
            parameters=parameters,
            trained_parameters=parameters,
            context_length=config.max_position_embeddings - offset,
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
            },
        )

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.max_length).input_ids
        return ids


def cross_entropy(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
    """This micro-batch's part of the mean over the samples of the effective batch."""
    return functional.cross_entropy(outputs.logits.float(), labels, reduction="sum") / num_items_in_batch
