"""Llama and related decoders with LoRA adapters, the study's prompt, and the ways to read an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, set_seed
from transformers.utils import SAFE_WEIGHTS_NAME

from baselines.compute.hardware import DTYPES, Attention, Batching, Computation, Quantization
from baselines.compute.memory import compute_rows, must_fit, run_in_passes
from baselines.decoder.card import decoder_card
from baselines.decoder.checks import (
    check_context,
    check_fsdp,
    check_head,
    check_label_loss,
    check_max_new_tokens,
    checked_prompter,
    option_checks,
    tokens_per_sample,
    trained_adapter,
)
from baselines.decoder.few_shot import draw_examples
from baselines.decoder.label_scores import (
    CONTENT_FREE,
    BatchedLogits,
    constrained_probabilities,
    whole_label_predictions,
)
from baselines.decoder.network import DecoderNetwork
from baselines.decoder.options import DecoderOptions
from baselines.decoder.prompt import Prompter
from baselines.packed.attention import loading_attention
from baselines.packed.fused import fuse, undo
from baselines.packed.graphs import StepGraphs, trains_only
from baselines.packed.projections import JoinedProduct
from baselines.packed.sample import Sample
from baselines.speed import DecoderSpeed, SpeedOverrides
from baselines.token_ids import positions
from baselines.training.fine_tuning import FineTuning, base_report, finetune
from baselines.training.fsdp import shard_layers
from baselines.training.label_loss import LabelLoss
from baselines.training.requirements import network_checks, prepare
from baselines.training.saving import save
from baselines.weights.adapter_config import CONFIG_FILE
from baselines.weights.loading import Loaded, fetch_checked, load
from baselines.weights.lora import without_adapter
from baselines.weights.sources import check_restorable
from baselines.weights.starting_point import StartingPoint
from benchmark import processes
from benchmark.errors import BenchmarkError
from benchmark.interface import CheckResult, Examples, FitContext, FitReport, ModelCard, Predictions, Readout


@dataclass
class DecoderClassifier(DecoderOptions):
    """A decoder with a fine-tuned LoRA adapter, or one whose weights are scored as they are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.speed_overrides = SpeedOverrides()  # not an option, and not part of the configuration
        # These are set by `fit` and `restore`.
        self.computation: Computation
        self.labels: tuple[str, ...]
        self.label_loss: LabelLoss
        self.loaded: Loaded
        self.tokenizer: PreTrainedTokenizerBase
        self.prompter: Prompter
        self.network: PeftModel | PreTrainedModel
        self.products: list[JoinedProduct]

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self._prepare(context)
        example_rows = draw_examples(train, context.labels, self.shots or 0, context.seed)
        examples = [(train.texts[row], int(train.labels[row])) for row in example_rows]
        loaded = self._load(self.start, train.texts, examples, context)
        if not self.start.trains:
            report = self._untrained_report(loaded)
            return replace(report, examples=tuple(train.ids[row] for row in example_rows))
        self.label_loss = LabelLoss.from_recipe(context.recipe, train, len(context.labels))
        samples, truncated = self.samples(train)
        return finetune(
            FineTuning(
                network=self.network,
                loaded=loaded,
                computation=self.computation,
                samples=samples,
                truncated_texts=truncated,
                loss=self.loss,
                validation=validation,
                predict=self.classify,
                context=context,
                graphs=self.step_graphs(samples, context.recipe.effective_batch),
            )
        )

    def samples(self, rows: Examples) -> tuple[list[Sample], int]:
        """The samples, and the number of texts that were cut."""
        prompts, truncated = self._prompts(rows.texts)
        head, answers = self.readout is Readout.head, self.prompter.answers
        labels = rows.labels.tolist()
        targets = [[label] if head else answers[label] for label in labels]
        return [Sample(prompt, target) for prompt, target in zip(prompts, targets, strict=True)], truncated

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        """Load the adapter in `folder`, or the network there that has an adapter merged into it."""
        if has_adapter := (folder / CONFIG_FILE).is_file():
            check_restorable(self.weights, folder)
        self._prepare(context)
        start = replace(self.start, adapter=str(folder)) if has_adapter else StartingPoint.from_saved(folder)
        loaded = self._load(start, (), (), context)
        adapter = loaded.source.adapter
        saved_sha256 = loaded.source.sha256_of(SAFE_WEIGHTS_NAME) if adapter is None else adapter.sha256
        return replace(self._untrained_report(loaded), saved_sha256=saved_sha256)

    def save_merged(self, folder: Path) -> str | None:
        if self.quantization is not Quantization.none:
            raise BenchmarkError(
                "An adapter cannot be merged into 4-bit weights without a loss of precision.",
                "Use the adapter as it is, or merge it with model.quantization=none.",
            )
        if not isinstance(self.network, PeftModel):
            return None
        undo(self.network)  # fused layers would add the adapter to the merged weights again
        merged = self.network.merge_and_unload()
        self._place(merged)
        return save(merged, self.tokenizer, folder, self.labels)

    def _prepare(self, context: FitContext) -> None:
        """Set how the network is computed, after a check that the options and the recipe allow it."""
        computation = prepare(self, context, self.only_packed)
        self.computation = replace(computation, accumulates=self.speed_overrides.accumulates)
        check_context(self, context.recipe)
        check_label_loss(self, context.recipe)
        check_head(self)
        check_fsdp(self)

    @must_fit("the network was loaded")
    def _load(
        self, start: StartingPoint, texts: Sequence[str], examples: Sequence[tuple[str, int]], context: FitContext
    ) -> Loaded:
        """Load the tokenizer, the prompter and the network with the adapter to start from, or with a new one.

        Every prompt shows the `examples`, texts with their label ids.
        """
        adapter = trained_adapter(self, start, context.labels)
        set_seed(context.seed)
        self.labels = context.labels
        self.loaded = loaded = self.speed_overrides.base or self._load_base(start, texts, context)
        self.tokenizer = loaded.tokenizer
        self.prompter = checked_prompter(self, self.tokenizer, context, examples)
        if self.readout is Readout.generate:
            check_max_new_tokens(self, self.prompter)
        if self.readout is Readout.head:
            loaded.network.score.float()  # is trained, like the adapter
        else:
            loaded.network.generation_config = GenerationConfig()  # the checkpoint's may sample or penalise repetition
        network: PeftModel | PreTrainedModel = loaded.network
        if adapter is not None:
            network = adapter.attach(loaded.network)
            loaded = loaded.with_adapter(adapter, network, context.labels)
        elif start.trains:
            network = self.lora.attach(loaded.network, self.task)
        else:
            network.requires_grad_(False)
        self._place(network)
        return loaded

    def _load_base(self, start: StartingPoint, texts: Sequence[str], context: FitContext) -> Loaded:
        """The tokenizer and the network without an adapter."""
        return load(
            self.auto_class,
            start.weights,
            self.architecture,
            texts=[self.instruction, *context.words, *texts],
            dtype=DTYPES[self.precision],
            attention=loading_attention(self.attention),
            labels=self.head_labels(context.labels),
            needed=start.needed,
            quantization=self.quantization,
            device=torch.device("cpu") if processes.weights_are_sharded() else self.computation.device,
        )

    def _place(self, network: PeftModel | PreTrainedModel) -> None:
        """Set `network` on its device, with fused layers if batches are packed."""
        sharded, device = processes.weights_are_sharded(), self.computation.device
        if sharded:
            shard_layers(network, device)
        self.network = network.to(device)
        if self.speed_overrides.recomputes:
            network.gradient_checkpointing_enable({"use_reentrant": False})
        self.products = fuse(self.network) if self.computation.packed and not sharded else []

    def _untrained_report(self, loaded: Loaded) -> FitReport:
        """The report of a network that is used as it was loaded."""
        reads = replace(self.computation, batching=Batching.packed if self.only_packed else Batching.padded)
        return base_report(self.network, loaded.source, reads)

    def predict(self, texts: Sequence[str]) -> Predictions:
        return self._generate(texts) if self.readout is Readout.generate else self.classify(texts)

    def classify(self, texts: Sequence[str]) -> Predictions:
        """Predict with a probability for each label, by the head, constrained decoding or whole labels."""
        prompts, truncated = self._prompts(texts)
        self.network.eval()
        size, answers, network = self.prediction_batch_size, self.prompter.answers, self._network
        if self.shots is not None:
            free = self.prompter.prompts(CONTENT_FREE)[0] if self.calibrate else []
            logits = BatchedLogits(network.next_logits, size)
            predictions = whole_label_predictions(prompts, free, answers, self.score, logits)
        elif self.readout is Readout.head:
            probabilities = compute_rows(
                prompts, len(answers), size, lambda part: network.head_logits(part).softmax(dim=-1)
            )
            predictions = Predictions.from_probabilities(probabilities)
        else:
            probabilities = constrained_probabilities(prompts, answers, size, network.scores)
            predictions = Predictions.from_probabilities(probabilities)
        return replace(predictions, truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        tokens = tokens_per_sample(self, texts, context.recipe)
        return [
            *option_checks(self, texts, context),
            *network_checks(self, tokens, context, self.only_packed, self.start.trains),
        ]

    def check_checkpoint(self, context: FitContext) -> None:
        """Raise if the files of the weights do not fit each other, the architecture, the template or the labels."""
        labels = self.head_labels(context.labels)
        _, checked = fetch_checked(self.auto_class, self.weights, self.architecture, labels, self.start.needed)
        checked_prompter(self, checked.tokenizer, context)

    def describe(self) -> ModelCard:
        return decoder_card(self)

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The summed cross-entropy of the answers' tokens, including their end, or of the labels if there is a head."""
        return self._loss(self._network, samples)

    def padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """`loss`, computed in padded batches by SDPA attention, which the network then keeps."""
        without_adapter(self.network).set_attn_implementation(Attention.sdpa.value)
        padded = replace(self.computation, batching=Batching.padded, attention=Attention.sdpa)
        return self._loss(replace(self._network, computation=padded), samples)

    def _loss(self, network: DecoderNetwork, samples: Sequence[Sample]) -> torch.Tensor:
        if self.readout is Readout.head:
            return self.label_loss(network.head_logits([sample.input_ids for sample in samples]), samples)
        return network.loss(samples)

    def step_graphs(self, samples: Sequence[Sample], batch: int) -> StepGraphs | None:
        """CUDA graphs for the training steps, if a GPU computes them as packed streams by FlashAttention-2."""
        network = self._network
        on_gpu = self.computation.device.type == "cuda" and self.computation.packed and self.computation.varlen
        if not on_gpu or processes.weights_are_sharded() or not trains_only(self.products, self.network):
            return None
        return network.graphs(self.products, samples, -(-batch // processes.world_size()))

    @property
    def _network(self) -> DecoderNetwork:
        return DecoderNetwork(self.network, self.prompter.end, self.computation)

    def _prompts(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The prompts, and the number of texts that were cut; raises if the network cannot read one with its answer."""
        prompts, truncated = self.prompter.prompts(texts)
        longest = max(map(len, self.prompter.answers))
        writes_freely = self.readout is Readout.generate and not self.speed_overrides.only_labels
        written = self.max_new_tokens if writes_freely else longest
        tokens = max(map(len, prompts), default=0) + written
        limit = positions(self.network.config)
        if limit is not None and tokens > limit:
            raise BenchmarkError(
                f"A prompt and its answer have {tokens} tokens, but the model reads at most {limit}.",
                f"Set recipe.max_length={limit - written + longest} or less.",
            )
        return prompts, truncated

    def _generate(self, texts: Sequence[str]) -> Predictions:
        prompts, truncated = self._prompts(texts)
        answers: list[str] = []
        network, ends, limit = self._network, self.prompter.ends, self.max_new_tokens
        if self.speed_overrides.only_labels:
            limit = max(map(len, self.prompter.answers))
        self.network.eval()

        def generate(rows: Sequence[int]) -> None:
            for tokens in network.generate([prompts[row] for row in rows], ends, limit).tolist():
                end = next((place for place, token in enumerate(tokens) if token in ends), None)
                answers.append(self.tokenizer.decode(tokens[:end], skip_special_tokens=True))

        run_in_passes(range(len(prompts)), self.prediction_batch_size, generate)
        return replace(Predictions.from_answers(answers, self.labels, self.prompter.labels), truncated_texts=truncated)

    def speed_comparison(self) -> DecoderSpeed:
        """The model as comparisons of speed need it (`benchmark.measure.measurable`)."""
        return DecoderSpeed(self)
