"""Logistic regression on the frozen embeddings of an encoder: no network is trained, so it takes seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoModelForSequenceClassification

from baselines.arrays import REGRESSION, all_label_probabilities, of_regression, read_arrays, save_arrays, to_regression
from baselines.cards import network_card
from baselines.compute.bars import prediction_label
from baselines.compute.hardware import Attention, Batching, Device, Precision
from baselines.compute.memory import compute_rows, must_fit
from baselines.packed.attention import loading_attention
from baselines.packed.passes import encoder_embeddings
from baselines.padding import padded_texts
from baselines.token_ids import check_positions, expected_tokens, positions, tokenize
from baselines.training.fine_tuning import base_report
from baselines.training.requirements import check_positive, failed_check, network_checks, prepare
from baselines.weights.compatibility import check_padding
from baselines.weights.families import first_position
from baselines.weights.kinds import Kind, check_kind
from baselines.weights.loading import fetch_checked, load
from baselines.weights.sources import Weights, check_restorable
from baselines.weights.starting_point import RequiredWeights
from baselines.weights.without_weights import build_without_weights
from benchmark.errors import check_option
from benchmark.interface import CheckResult, Examples, FitContext, FitReport, ModelCard, Predictions


class Pooling(StrEnum):
    mean = "mean"  # of all tokens
    first = "first"  # the first token


@dataclass
class Probe:
    """Logistic regression on frozen encoder embeddings, scaled to unit length.

    `pooling` says how token states become the embedding of a text. `C` is the inverse strength of the L2 penalty, and
    `max_iterations` limits the iterations of the regression.
    """

    weights: Weights
    architecture: dict[str, Any]
    pooling: Pooling = Pooling.mean
    C: float = 1.0
    max_iterations: int = 1000
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.auto
    batching: Batching = Batching.auto
    prediction_batch_size: int = 64

    def __post_init__(self) -> None:
        check_positive(prediction_batch_size=self.prediction_batch_size, max_iterations=self.max_iterations)
        check_option("model.C", self.C, self.C > 0, "Set it to a number above 0.")
        if self.architecture:  # else it is read from the checkpoint later
            check_kind(self.architecture, Kind.encoder)

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        report = self._load(train.texts, context)
        context.training_begins()
        with prediction_label("embedding"):
            embeddings, truncated = self.embed(train.texts)
        self.regression = LogisticRegression(C=self.C, max_iter=self.max_iterations, random_state=context.seed)
        self.regression.fit(embeddings, train.labels)
        trained = self.regression.coef_.size + self.regression.intercept_.size
        return replace(
            report,
            parameters=(report.parameters or 0) + trained,
            trained_parameters=trained,
            truncated_texts=truncated,
            saved_sha256=save_arrays(context.model_dir, **of_regression(self.regression)),
        )

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        check_restorable(self.weights, folder)
        report = self._load((), context)
        arrays, saved = read_arrays(folder, *REGRESSION)
        self.regression = to_regression(*arrays)
        return replace(report, saved_sha256=saved)

    def _load(self, texts: Sequence[str], context: FitContext) -> FitReport:
        """Load the tokenizer and the network, and report what they are."""
        self.computation, self.max_length = prepare(self, context), context.recipe.max_length
        check_positions(self.describe(), self.max_length)
        with must_fit("the network was loaded"):
            loaded = load(
                AutoModelForSequenceClassification,  # whose head may be missing from the checkpoint, and is not used
                self.weights,
                self.architecture,
                texts=texts,
                dtype=torch.float32,
                attention=loading_attention(self.attention),
            )
        check_padding(loaded.tokenizer, loaded.network.config)
        self.tokenizer = loaded.tokenizer
        self.network = loaded.network.base_model.to(self.computation.device).eval()
        self.n_labels = len(context.labels)
        return base_report(self.network, loaded.source, self.computation)

    def embed(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.float64], int]:
        """Embeddings of unit length, (texts, hidden), and the number of texts that were cut to `max_length`."""
        token_ids, truncated = tokenize(self.tokenizer, texts, self.max_length)
        size = self.network.config.hidden_size
        rows = compute_rows(token_ids, size, self.prediction_batch_size, self._embed, key=len)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True), truncated

    def _embed(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        mean, device = self.pooling is Pooling.mean, self.computation.device
        with self.computation.autocast():
            if self.computation.packed:
                return encoder_embeddings(self.network, token_ids, mean, self.computation.varlen, device)
            batch = padded_texts(token_ids, self.tokenizer.pad_token_id, first_position(self.network.config))
            states: torch.Tensor = self.network(**batch.to(device)).last_hidden_state
        mask: torch.Tensor = batch["attention_mask"][..., None]
        return (states * mask).sum(dim=1) / mask.sum(dim=1) if mean else states[:, 0]

    def predict(self, texts: Sequence[str]) -> Predictions:
        embeddings, truncated = self.embed(texts)
        probabilities = all_label_probabilities(self.regression, embeddings, self.n_labels)
        return replace(Predictions.from_probabilities(probabilities), truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        card, max_length = self.describe(), context.recipe.max_length
        return [
            *failed_check("max_length", lambda: check_positions(card, max_length)),
            *network_checks(self, expected_tokens(texts, max_length), context),
        ]

    def check_checkpoint(self, context: FitContext) -> None:
        """Raise if the files of the weights do not fit each other or the architecture."""
        auto_class = AutoModelForSequenceClassification
        _, checked = fetch_checked(auto_class, self.weights, self.architecture, (), RequiredWeights.body)
        check_padding(checked.tokenizer, checked.config)

    def describe(self) -> ModelCard:
        network = build_without_weights(AutoModel, self.architecture)
        card = network_card("probe", network, self.weights, {})
        return replace(
            card, context_length=positions(network.config), trained_parameters=0, library="sklearn", usage=None
        )
