"""Llama and related decoders with LoRA adapters, the study's prompt, and three ways to read an answer."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import SAFE_WEIGHTS_NAME

from baselines.cards import network_card, training_id
from baselines.decoder_network import DecoderNetwork
from baselines.few_shot import check_shots, draw
from baselines.label_scores import (
    CONTENT_FREE,
    Compute,
    LabelScore,
    constrained_probabilities,
    whole_label_predictions,
)
from baselines.packed.attention import loading_attention, resolve_batching
from baselines.packed.fused import fuse, undo
from baselines.packed.graphs import StepGraphs, trains_only
from baselines.packed.passes import padded, without_adapter
from baselines.prompt import Prompt, Prompter
from baselines.training import processes
from baselines.training.fine_tuning import FineTuning, finetune, report_without_training
from baselines.training.gradients import backward, largest_difference
from baselines.training.hardware import (
    DTYPES,
    Attention,
    Batching,
    Device,
    Precision,
    Quantization,
    autocast,
    check_quantization,
    fast_precisions,
)
from baselines.training.label_loss import LabelLoss
from baselines.training.memory import compute_rows, must_fit, run_in_passes
from baselines.training.requirements import (
    adapter_findings,
    check_positive,
    check_trains,
    examine,
    failed,
    prepare,
    tokens_per_text,
)
from baselines.training.sample import Sample
from baselines.training.saving import save
from baselines.weights.adapter import ADAPTER_FILES, Adapter, read_adapter
from baselines.weights.adapter_config import CONFIG as ADAPTER_CONFIG
from baselines.weights.checks import check_ids
from baselines.weights.kinds import Kind, check_kind
from baselines.weights.loading import Loaded, Needed, build_without_weights, check_random, fetch_checked, load
from baselines.weights.lora import CAUSAL_LM, SEQ_CLS, Lora
from baselines.weights.sources import Source, Weights, check_restorable
from benchmark.errors import BenchmarkError
from benchmark.interface import (
    ADDED_LATER,
    NO_EXAMPLES,
    READS_FILES,
    Examples,
    Finding,
    FitContext,
    FitReport,
    ModelCard,
    Predictions,
    Prompting,
    Readout,
    Recipe,
)


@dataclass
class DecoderClassifier:
    """A decoder with a fine-tuned LoRA adapter.

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

    accumulates = False
    """Whether a step takes passes of the recipe's batch size, for comparisons of speed."""
    recomputes = False
    """Whether activations are computed again in the backward pass, for comparisons of speed."""
    reused = None
    """Weights that the next `fit` need not load."""

    def __post_init__(self) -> None:
        check_positive(prediction_batch_size=self.prediction_batch_size, max_new_tokens=self.max_new_tokens)
        whole = {"calibrate": self.calibrate, "score": self.score is not LabelScore.sum}
        check_shots(
            self.shots, self.readout, self.train, self.adapter, [option for option, used in whole.items() if used]
        )
        if self.architecture:  # else it is read from the checkpoint later
            check_kind(self.architecture, Kind.decoder)
            self.batching = resolve_batching(self.architecture["model_type"], self.batching)

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        computation = prepare(self, context, self._only_packed)
        self.torch_device = computation.device
        self._check_recipe(context.recipe)
        adapter = self._trained_adapter(context.labels)
        shown = draw(train, context.labels, self.shots or 0, context.seed)
        loaded = self._load(train, context, adapter, shown)
        if not self.trains:
            reads = replace(computation, batching=Batching.packed if self._only_packed else Batching.padded)
            report = report_without_training(self.network, loaded.source, reads)
            return replace(report, examples=tuple(train.ids[row] for row in shown))
        self.label_loss = LabelLoss.of(context.recipe, train, len(context.labels))
        samples, truncated = self._samples(train)
        return finetune(
            FineTuning(
                network=self.network,
                loaded=loaded,
                computation=computation,
                samples=samples,
                truncated_texts=truncated,
                loss=self.loss,
                validation=validation,
                predict=self.classify,
                context=context,
                accumulates=self.accumulates,
                graphs=self._graphs(samples, context.recipe.effective_batch),
            )
        )

    def _samples(self, rows: Examples) -> tuple[list[Sample], int]:
        """The samples, and the number of texts that were cut."""
        prompts, truncated = self.prompter.prompts(rows.texts)
        head, answers = self.readout is Readout.head, self.prompter.answers
        labels = rows.labels.tolist()
        targets = [[label] if head else answers[label] for label in labels]
        return [Sample(prompt, one) for prompt, one in zip(prompts, targets, strict=True)], truncated

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        """`folder` has an adapter, or a network with one merged into it."""
        if not (folder / ADAPTER_CONFIG).is_file():
            self.weights, self.train, self.adapter = Weights(Source.folder, path=str(folder)), False, None
            report = self.fit(NO_EXAMPLES, NO_EXAMPLES, context)
            return replace(report, saved_sha256=report.weights.sha256_of(SAFE_WEIGHTS_NAME))
        check_restorable(self.weights, folder)
        self.adapter = str(folder)
        report = self.fit(NO_EXAMPLES, NO_EXAMPLES, context)
        assert report.weights.adapter is not None
        return replace(report, saved_sha256=report.weights.adapter.sha256)

    def save_merged(self, folder: Path) -> str:
        if self.quantization is not Quantization.none:
            raise BenchmarkError(
                "An adapter cannot be merged into 4-bit weights without a loss of precision.",
                "Use the adapter as it is, or merge it with model.quantization=none.",
            )
        if not isinstance(self.network, PeftModel):
            raise BenchmarkError("This model has no adapter to merge.", "Use its folder as it is.")
        return save(self.network.merge_and_unload(), self.tokenizer, folder, self.labels)

    @must_fit("the network was loaded")
    def _load(self, train: Examples, context: FitContext, adapter: Adapter | None, shown: Sequence[int]) -> Loaded:
        """Load the tokenizer, the prompter and the network with `adapter`, or with a new one.

        The prompts show the rows `shown` of the training split.
        """
        set_seed(context.seed)
        self.labels = context.labels
        loaded = self.reused or load(
            self._auto_class,
            self.weights,
            self.architecture,
            texts=[self.instruction, *context.words, *train.texts],
            dtype=DTYPES[self.precision],
            attention=loading_attention(self.attention),
            labels=self._head_labels(context.labels),
            needed=self._needed,
            quantization=self.quantization,
            device=self.torch_device,
        )
        if self.reused is not None:
            self.reused = None
            loaded.network.set_attn_implementation(loading_attention(self.attention).value)
        self.loaded = loaded
        network, self.tokenizer = loaded.network, loaded.tokenizer
        examples = [(train.texts[row], int(train.labels[row])) for row in shown]
        self.prompter = self._prompter(self.tokenizer, context, examples)
        if self.readout is Readout.generate:
            self._check_max_new_tokens()
        if self.readout is Readout.head:
            network.score.float()  # is trained, like the adapter
        else:
            network.generation_config = GenerationConfig()  # the checkpoint's may sample or penalise repetition
        if adapter is not None:
            adapted = adapter.attach(network)
            loaded, network = loaded.with_adapter(adapter, adapted, context.labels), adapted
        elif self.train:
            network = self.lora.attach(network, self._task)
        else:
            network.requires_grad_(False)
        self.network: PeftModel | PreTrainedModel = network.to(self.torch_device)
        if self.recomputes:
            network.gradient_checkpointing_enable({"use_reentrant": False})
        self.projections = fuse(self.network) if self.batching is Batching.packed else []
        return loaded

    def _check_recipe(self, recipe: Recipe) -> None:
        """Raise for options of the loss without a classification head, and for prompts beyond the context."""
        context = self.architecture.get("max_position_embeddings", recipe.max_length)
        if self.shots is not None and recipe.max_length > context:
            raise BenchmarkError(
                f"recipe.max_length is {recipe.max_length}, but the model reads at most {context} tokens.",
                f"Set recipe.max_length={context} or less.",
            )
        for option, default in (("class_weights", None), ("label_smoothing", 0.0)):
            if self.readout is not Readout.head and (value := getattr(recipe, option)) != default:
                raise BenchmarkError(
                    f"recipe.{option} is {value}, but a decoder that writes its answer has no loss over labels.",
                    f"Set model.readout=head, or leave recipe.{option} out.",
                )

    def _check_max_new_tokens(self) -> None:
        longest = max(self.prompter.answers, key=len)
        if (tokens := len(longest) - 1) > self.max_new_tokens:  # without the end token
            raise BenchmarkError(
                f"model.max_new_tokens is {self.max_new_tokens}, but the label {self.tokenizer.decode(longest[:-1])} "
                f"has {tokens} tokens.",
                f"Set model.max_new_tokens={tokens + 1}.",
            )

    def predict(self, texts: Sequence[str]) -> Predictions:
        return self._generate(texts) if self.readout is Readout.generate else self.classify(texts)

    def classify(self, texts: Sequence[str]) -> Predictions:
        """Predict with a probability for each label, by the head, constrained decoding or whole labels."""
        prompts, truncated = self.prompter.prompts(texts)
        self.network.eval()
        size, answers, computed = self.prediction_batch_size, self.prompter.answers, self._computed
        if self.shots is not None:
            free = self.prompter.prompts(CONTENT_FREE)[0] if self.calibrate else []
            compute = Compute(computed.next_logits, size)
            found = whole_label_predictions(prompts, free, answers, self.score, compute)
        elif self.readout is Readout.head:
            probabilities = compute_rows(
                prompts, len(answers), size, lambda part: computed.head_logits(part).softmax(dim=-1)
            )
            found = Predictions.from_probabilities(probabilities)
        else:
            found = Predictions.from_probabilities(constrained_probabilities(prompts, answers, size, computed.scores))
        return replace(found, truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        turn = tokens_per_text([self.instruction]) + tokens_per_text(texts)
        shown = (1 + (self.shots or 0)) * turn
        tokens = min(shown, context.recipe.max_length)
        too_long = bool(self.shots) and shown > context.recipe.max_length
        length = [_too_long(self.shots or 0, shown, context.recipe)] if too_long else []
        if self._only_packed and not self.shots:  # the prompts' common beginning is computed once
            tokens = min(tokens_per_text(texts), context.recipe.max_length)
        random_weights = self.weights.source is Source.random
        quantised = failed("quantised", lambda: check_quantization(self.quantization, random_weights))
        adapter = adapter_findings(self.adapter, lambda: self._trained_adapter(context.labels))
        labels = self._head_labels(context.labels)
        recipe = failed("recipe", lambda: self._check_recipe(context.recipe))
        random = failed("train", lambda: check_random(self.weights, labels, self._needed))
        return [*recipe, *length, *random, *quantised, *adapter, *examine(self, tokens, context, self._only_packed)]

    def check_checkpoint(self, context: FitContext) -> None:
        """Raise if the files of the weights do not fit each other, the architecture, the template or the labels."""
        labels = self._head_labels(context.labels)
        _, checked = fetch_checked(self._auto_class, self.weights, self.architecture, labels, self._needed)
        self._prompter(checked.tokenizer, context)

    def _trained_adapter(self, labels: Sequence[str]) -> Adapter | None:
        if self.adapter is None:
            return None
        network = build_without_weights(self._auto_class, self.architecture | {"num_labels": len(labels)})
        return read_adapter(Path(self.adapter), network, self._task, self.lora, self.weights.hub_id)

    def _prompter(
        self, tokenizer: PreTrainedTokenizerBase, context: FitContext, examples: Sequence[tuple[str, int]] = ()
    ) -> Prompter:
        length, template = context.recipe.max_length, self.chat_template
        prompter = Prompter(
            tokenizer, template, self.instruction, context.words, length, prompt=self.prompt, examples=examples
        )
        (prompt,), _ = prompter.prompts([""])
        check_ids(tokenizer, [*prompt, *prompter.ends], self.architecture["vocab_size"])
        return prompter

    @property
    def trains(self) -> bool:
        return self.train and self.adapter is None

    @property
    def _precision(self) -> str:
        """The precision with the quantisation of the frozen weights, for tables."""
        quantised = self.quantization is not Quantization.none
        return f"{self.quantization.value} + {self.precision.value}" if quantised else self.precision.value

    @property
    def _needed(self) -> Needed:
        return Needed.body if self.trains else Needed.all if self.adapter is None else Needed.all_but_head

    def _head_labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The labels of the classification head, none without one."""
        return labels if self.readout is Readout.head else ()

    @property
    def _task(self) -> str:
        return SEQ_CLS if self.readout is Readout.head else CAUSAL_LM

    @property
    def _auto_class(self) -> Any:
        return AutoModelForSequenceClassification if self.readout is Readout.head else AutoModelForCausalLM

    @property
    def _only_packed(self) -> bool:
        """Whether transformers' own attention is never used. Generation needs it, and it needs flash-attn."""
        return self.batching is Batching.packed and self.readout is not Readout.generate

    def describe(self) -> ModelCard:
        """As for encoders, the parameters of a classification head are not counted: they depend on the data set.

        Weights that are scored as they are have no LoRA.
        """
        auto_class = AutoModel if self.readout is Readout.head else AutoModelForCausalLM
        network = build_without_weights(auto_class, self.architecture)
        config, lora = network.config, self.lora
        as_they_are = not self.train and self.adapter is None
        settings = {"precision": self._precision, "attention": self.attention.value,
                    "lora_rank": "none" if as_they_are else lora.rank}  # fmt: skip
        card = network_card("decoder", network, self.weights, settings)
        key_value_heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
        card = replace(
            card,
            grouped_query_attention=key_value_heads < config.num_attention_heads,
            readout=None if self.shots is not None else self.readout.value,
            prompting=self._prompting,
            training=training_id(asdict(self.weights), self._precision, {} if as_they_are else asdict(lora)),
        )
        if as_they_are:
            return replace(card, trained_parameters=0)
        with torch.device("meta"):
            adapted = lora.attach(network)
        adapter = {"lora_rank": lora.rank, "lora_alpha": lora.alpha, "lora_targets": list(lora.targets)}
        trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        return replace(card, trained_parameters=trained, dimensions=card.dimensions | adapter)

    @property
    def _prompting(self) -> Prompting | None:
        if self.shots is None:
            return None
        score = self.readout.value if self.readout is Readout.generate else self.score.value
        return Prompting(self.shots, self.prompt.name, score, self.calibrate)

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """On the tokens of the answers, including their end; with a head, on the labels."""
        return self._loss(self._computed, samples)

    def _loss(self, computed: DecoderNetwork, samples: Sequence[Sample]) -> torch.Tensor:
        if self.readout is Readout.head:
            return self.label_loss(computed.head_logits([sample.input_ids for sample in samples]), samples)
        return computed.loss(samples)

    def _graphs(self, samples: Sequence[Sample], batch: int) -> StepGraphs | None:
        """CUDA graphs for the training steps, if a GPU computes them as packed streams by FlashAttention-2."""
        computed = self._computed
        on_gpu = self.torch_device.type == "cuda" and computed.packed and computed.varlen
        if not on_gpu or not trains_only(self.projections, self.network):
            return None
        return computed.graphs(self.projections, samples, -(-batch // processes.number()))

    @property
    def _computed(self) -> DecoderNetwork:
        filler, device = self.prompter.end, self.torch_device
        return DecoderNetwork(self.network, filler, device, self.precision, self.attention, self.batching)

    def _generate(self, texts: Sequence[str]) -> Predictions:
        prompts, truncated = self.prompter.prompts(texts)
        answers: list[str] = []
        self.network.eval()

        def generate(rows: Sequence[int]) -> None:
            batch = padded([prompts[row] for row in rows], self.prompter.end, "left").to(self.torch_device)
            with torch.inference_mode(), autocast(self.torch_device, self.precision):
                generated = self.network.generate(
                    **batch,
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    eos_token_id=self.prompter.ends,
                    pad_token_id=self.prompter.end,
                )
            new = generated[:, batch["input_ids"].shape[1] :]
            answers.extend(self.tokenizer.batch_decode(new, skip_special_tokens=True))

        run_in_passes(range(len(prompts)), self.prediction_batch_size, generate)
        return replace(Predictions.from_answers(answers, self.labels, self.prompter.labels), truncated_texts=truncated)

    def fast_precisions(self) -> list[str]:
        return fast_precisions(self.precision)

    def in_precision(self, name: str) -> "DecoderClassifier":
        return replace(self, precision=Precision(name))

    def plain(self) -> list["DecoderClassifier"]:
        """Padded batches; labels are generated freely, as the study does, with 8 prompts per batch.

        Then the same with activations computed again in the backward pass, which saves memory.
        """
        check_trains(self.trains)
        attention = loading_attention(self.attention)  # transformers has no other FlashAttention-2
        padded = replace(self, batching=Batching.padded, attention=attention)
        if self.readout is Readout.labels:
            padded = replace(padded, readout=Readout.generate, prediction_batch_size=8, max_new_tokens=4)
        padded.accumulates = True
        recomputing = copy(padded)
        recomputing.recomputes = True
        return [padded, recomputing]

    def gradient_difference(self, rows: Examples) -> float:
        samples = self._samples(rows)[0]
        graphs, targets = self._graphs(samples, len(samples)), sum(len(sample.targets) for sample in samples)
        padded = replace(self._computed, batching=Batching.padded, attention=Attention.sdpa)

        def quickly() -> None:
            if graphs is None or graphs.backpropagate(samples, targets, torch.nn.Identity()) is None:
                backward(self.loss(samples) / targets)

        def plainly() -> None:
            undo(self.network)
            without_adapter(self.network).set_attn_implementation(padded.attention.value)
            backward(self._loss(padded, samples) / targets)

        return largest_difference(self.network, quickly, plainly)

    def free_weights(self) -> Loaded | None:
        if self.readout is Readout.head or not isinstance(self.network, PeftModel):
            return None
        undo(self.network)
        network, self.projections = self.network.unload(), []
        network.gradient_checkpointing_disable()
        del self.network
        return replace(self.loaded, network=network)

    def reuse_weights(self, weights: object) -> None:
        assert isinstance(weights, Loaded)
        self.reused = weights


def _too_long(shots: int, tokens: float, recipe: Recipe) -> Finding:
    found = f"a prompt with {shots} examples has about {tokens:.0f} tokens, above recipe.max_length={recipe.max_length}"
    return Finding("examples", found, f"Set recipe.max_length={math.ceil(1.2 * tokens)} or more, or lower model.shots.")
