"""BERT, RoBERTa and related encoders with a classification head."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import SAFE_WEIGHTS_NAME

from baselines.cards import network_card
from baselines.compute.hardware import Attention, Batching, Computation, Device, Precision
from baselines.compute.memory import compute_rows, must_fit
from baselines.packed.attention import loading_attention
from baselines.packed.fused import use_fast_dropout
from baselines.packed.passes import encoder_logits
from baselines.packed.sample import Sample
from baselines.padding import padded_texts
from baselines.speed import EncoderSpeed, SpeedOverrides
from baselines.token_ids import check_positions, expected_tokens, positions, tokenize
from baselines.training.fine_tuning import FineTuning, base_report, finetune
from baselines.training.label_loss import LabelLoss
from baselines.training.requirements import (
    adapter_checks,
    check_positive,
    failed_check,
    network_checks,
    prepare,
)
from baselines.training.soft_labels import FILES, soft_targets, teacher_probabilities
from baselines.weights.adapter import ADAPTER_FILES, Adapter, read_adapter
from baselines.weights.compatibility import check_padding
from baselines.weights.families import first_position
from baselines.weights.kinds import Kind, check_kind
from baselines.weights.loading import Loaded, fetch_checked, load
from baselines.weights.lora import SEQ_CLS
from baselines.weights.sources import Weights
from baselines.weights.starting_point import StartingPoint, check_random
from baselines.weights.without_weights import build_without_weights
from benchmark.errors import BenchmarkError
from benchmark.interface import (
    ADDED_LATER,
    READS_FILES,
    CheckResult,
    Examples,
    FitContext,
    FitReport,
    ModelCard,
    Predictions,
)


@dataclass
class EncoderClassifier:
    """A fine-tuned encoder.

    `architecture` holds the options of transformers' configuration. Loaded weights are checked against it, and random
    ones are created from it. Nothing is trained with `train=False`, where the weights must have a head for the labels,
    or with `adapter`, a folder with a LoRA adapter that was trained before. `soft_labels` is a file with the
    probabilities of a teacher for the training texts.
    """

    weights: Weights
    architecture: dict[str, Any]
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.sdpa
    batching: Batching = Batching.packed
    prediction_batch_size: int = 64
    train: bool = field(default=True, metadata={ADDED_LATER: True})
    adapter: str | None = field(default=None, metadata={READS_FILES: ADAPTER_FILES, ADDED_LATER: True})
    soft_labels: str | None = field(default=None, metadata={READS_FILES: FILES, ADDED_LATER: True})

    def __post_init__(self) -> None:
        self.speed_overrides = SpeedOverrides()  # not an option, and not part of the configuration
        # These are set by `fit` and `restore`.
        self.computation: Computation
        self.max_length: int
        self.tokenizer: PreTrainedTokenizerBase
        self.network: PreTrainedModel
        self.label_loss: LabelLoss

        check_positive(prediction_batch_size=self.prediction_batch_size)
        if self.soft_labels is not None and not self.start.trains:
            raise BenchmarkError(
                "model.soft_labels is set, but with model.train=false or model.adapter nothing is trained.",
                "Leave it out, or train.",
            )
        if self.architecture:  # else it is read from the checkpoint later
            check_kind(self.architecture, Kind.encoder)

    @property
    def start(self) -> StartingPoint:
        """The weights, and perhaps the adapter, that `fit` starts from."""
        return StartingPoint(self.weights, self.train, self.adapter)

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self._prepare(context)
        soft = None if self.soft_labels is None else soft_targets(Path(self.soft_labels), train, context.labels)
        loaded = self._load(self.start, train.texts, context)
        if not self.start.trains:
            return base_report(self.network, loaded.source, self.computation)
        self.label_loss = LabelLoss.from_recipe(context.recipe, train, len(context.labels))
        samples, truncated = self.samples(train)
        if soft is not None:
            samples = [replace(sample, soft=targets) for sample, targets in zip(samples, soft, strict=True)]
        return finetune(
            FineTuning(
                network=self.network,
                loaded=loaded,
                computation=self.computation,
                samples=samples,
                truncated_texts=truncated,
                loss=self.loss,
                validation=validation,
                predict=self.predict,
                context=context,
            )
        )

    def samples(self, rows: Examples) -> tuple[list[Sample], int]:
        """The samples, and the number of texts that were cut."""
        token_ids, truncated = self._token_ids(rows.texts)
        return [Sample(ids, [label]) for ids, label in zip(token_ids, rows.labels.tolist(), strict=True)], truncated

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        self._prepare(context)
        source = self._load(StartingPoint.from_saved(folder), (), context).source
        report = base_report(self.network, source, self.computation)
        return replace(report, saved_sha256=source.sha256_of(SAFE_WEIGHTS_NAME))

    def _prepare(self, context: FitContext) -> None:
        """Set how the network is computed and how long texts may be, after a check that both are possible."""
        self.computation = replace(prepare(self, context), accumulates=self.speed_overrides.accumulates)
        self.max_length = context.recipe.max_length
        check_positions(self.describe(), self.max_length)

    @must_fit("the network was loaded")
    def _load(self, start: StartingPoint, texts: Sequence[str], context: FitContext) -> Loaded:
        """Load the tokenizer and the network, with the adapter merged into its weights if there is one."""
        adapter = self._trained_adapter(start, context.labels)
        set_seed(context.seed)
        loaded = load(
            AutoModelForSequenceClassification,
            start.weights,
            self.architecture,
            texts=texts,
            dtype=torch.float32,
            attention=loading_attention(self.attention),
            labels=context.labels,
            needed=start.needed,
            device=self.computation.device,
        )
        check_padding(loaded.tokenizer, loaded.network.config)
        network = loaded.network
        if adapter is not None:
            adapted = adapter.attach(network)
            loaded = loaded.with_adapter(adapter, adapted, context.labels)
            network = adapted.merge_and_unload()
        self.tokenizer, self.network = loaded.tokenizer, network.to(self.computation.device)
        if self.computation.packed:
            use_fast_dropout(self.network)
        return loaded

    def _trained_adapter(self, start: StartingPoint, labels: Sequence[str]) -> Adapter | None:
        """The adapter to start from, checked against the architecture."""
        if start.adapter is None:
            return None
        options = self.architecture | {"num_labels": len(labels)}
        network = build_without_weights(AutoModelForSequenceClassification, options)
        return read_adapter(Path(start.adapter), network, SEQ_CLS, declared=None, base=start.weights.hub_id)

    def check_checkpoint(self, context: FitContext) -> None:
        """Raise if the files of the weights do not fit each other, the architecture or the labels."""
        _, checked = fetch_checked(
            AutoModelForSequenceClassification, self.weights, self.architecture, context.labels, self.start.needed
        )
        check_padding(checked.tokenizer, checked.config)

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The summed loss of the samples."""
        return self.label_loss(self.logits([sample.input_ids for sample in samples]), samples)

    def padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """`loss`, computed in padded batches."""
        with self.computation.autocast():
            logits = self._padded_logits([sample.input_ids for sample in samples])
        return self.label_loss(logits.float(), samples)

    def logits(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        """Logits of the labels, (texts, labels) float32."""
        with self.computation.autocast():
            return (
                self._packed_logits(token_ids) if self.computation.packed else self._padded_logits(token_ids)
            ).float()

    def _padded_logits(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        batch = padded_texts(token_ids, self.tokenizer.pad_token_id, first_position(self.network.config))
        logits: torch.Tensor = self.network(**batch.to(self.computation.device)).logits
        return logits

    def _packed_logits(self, token_ids: Sequence[list[int]]) -> torch.Tensor:
        return encoder_logits(self.network, token_ids, self.computation.varlen, self.computation.device)

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Predict in batches of texts with similar length; the answers are in the order of `texts`."""
        token_ids, truncated = self._token_ids(texts)
        n_labels, size = self.network.config.num_labels, self.prediction_batch_size
        self.network.eval()
        probabilities = compute_rows(token_ids, n_labels, size, lambda part: self.logits(part).softmax(dim=-1), key=len)
        return replace(Predictions.from_probabilities(probabilities), truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        card, max_length = self.describe(), context.recipe.max_length
        return [
            *failed_check("max_length", lambda: check_positions(card, max_length)),
            *failed_check("train", lambda: check_random(self.weights, context.labels, self.start.needed)),
            *failed_check("soft_labels", lambda: self._check_soft_labels(texts, context.labels)),
            *adapter_checks(self.adapter, lambda: self._trained_adapter(self.start, context.labels)),
            *network_checks(self, expected_tokens(texts, max_length), context),
        ]

    def _check_soft_labels(self, texts: Sequence[str], labels: Sequence[str]) -> None:
        if self.soft_labels is not None:
            teacher_probabilities(Path(self.soft_labels), texts, labels)

    def describe(self) -> ModelCard:
        network = build_without_weights(AutoModel, self.architecture)
        rank = "none" if self.adapter is None else "of the adapter"
        settings = {"precision": self.precision.value, "attention": self.attention.value, "lora_rank": rank}
        card = replace(
            network_card("encoder", network, self.weights, settings), context_length=positions(network.config)
        )
        return card if self.start.trains else replace(card, trained_parameters=0)

    def _token_ids(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The token ids of every text, cut to `max_length`, and the number of texts that were cut."""
        return tokenize(self.tokenizer, texts, self.max_length)

    def speed_comparison(self) -> EncoderSpeed:
        """The model as comparisons of speed need it (`benchmark.measure.measurable`)."""
        return EncoderSpeed(self)
