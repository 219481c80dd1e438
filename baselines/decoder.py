"""Llama and related decoders with LoRA adapters, the study's prompt, and three ways to read an answer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from peft import PeftModel
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BatchEncoding,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import SAFE_WEIGHTS_NAME, ModelOutput

from baselines.cards import network_card, training_id
from baselines.packed.attention import loading_attention, resolve_batching
from baselines.packed.fused import fuse
from baselines.packed.passes import decoder_states, last_tokens, padded, without_adapter
from baselines.prompt import Prompter, branches
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
from baselines.training.saving import save
from baselines.training.trainer import Job, LabelLoss, Sample, finetune, report_without_training
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
    Readout,
    Recipe,
)

IGNORED = -100  # a target that cross-entropy leaves out


@dataclass
class DecoderClassifier:
    """A decoder with a fine-tuned LoRA adapter.

    `adapter` is a folder with an adapter that was trained before; then nothing is trained. Nor is it with
    `train=False`, which scores the weights as they are. `chat_template` is Jinja; None takes the tokenizer's.
    `max_new_tokens` limits free generation.
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

    def __post_init__(self) -> None:
        check_positive(prediction_batch_size=self.prediction_batch_size, max_new_tokens=self.max_new_tokens)
        if self.architecture:  # else it is read from the checkpoint later
            check_kind(self.architecture, Kind.decoder)
            self.batching = resolve_batching(self.architecture["model_type"], self.batching)

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        computation = prepare(self, context, self._only_packed)
        self.torch_device = computation.device
        self._check_recipe(context.recipe)
        adapter = self._trained_adapter(context.labels)
        loaded = self._load(train, context, adapter)
        if not self.trains:
            reads = replace(computation, batching=Batching.packed if self._only_packed else Batching.padded)
            return report_without_training(self.network, loaded.source, reads)
        self.label_loss = LabelLoss.of(context.recipe, train, len(context.labels))
        prompts, truncated = self.prompter.prompts(train.texts)
        samples = [
            Sample(prompt, [label] if self.readout is Readout.head else self.prompter.answers[label])
            for prompt, label in zip(prompts, train.labels.tolist(), strict=True)
        ]
        return finetune(
            Job(
                network=self.network,
                loaded=loaded,
                computation=computation,
                samples=samples,
                truncated_texts=truncated,
                loss=self.loss,
                validation=validation,
                predict=self.classify,
                context=context,
            )
        )

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
    def _load(self, train: Examples, context: FitContext, adapter: Adapter | None) -> Loaded:
        """Load the tokenizer, the prompter and the network with `adapter`, or with a new one."""
        set_seed(context.seed)
        self.labels = context.labels
        loaded = load(
            self._auto_class,
            self.weights,
            self.architecture,
            texts=[self.instruction, *context.words, *train.texts],
            dtype=DTYPES[self.precision],
            attention=loading_attention(self.attention),
            labels=self._head_labels(context.labels),
            needed=self._needed,
            quantization=self.quantization,
        )
        network, self.tokenizer = loaded.network, loaded.tokenizer
        self.prompter = self._prompter(self.tokenizer, context)
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
        if self.batching is Batching.packed:
            fuse(self.network)
        return loaded

    def _check_recipe(self, recipe: Recipe) -> None:
        """Raise for options of the loss of a classification head where there is none."""
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
        """Predict with a probability for each label, by the head or by constrained decoding."""
        prompts, truncated = self.prompter.prompts(texts)
        self.network.eval()
        if self.readout is Readout.head:
            labels, size = len(self.prompter.labels), self.prediction_batch_size
            probabilities = compute_rows(prompts, labels, size, lambda part: self._head_logits(part).softmax(dim=-1))
        else:
            probabilities = self._label_probabilities(prompts)
        return replace(Predictions.from_probabilities(probabilities), truncated_texts=truncated)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        # Packed, the prompts' common beginning is computed once.
        prefix = 0.0 if self._only_packed else tokens_per_text([self.instruction])
        tokens = min(prefix + tokens_per_text(texts), context.recipe.max_length)
        random_weights = self.weights.source is Source.random
        quantised = failed("quantised", lambda: check_quantization(self.quantization, random_weights))
        adapter = adapter_findings(self.adapter, lambda: self._trained_adapter(context.labels))
        labels = self._head_labels(context.labels)
        recipe = failed("recipe", lambda: self._check_recipe(context.recipe))
        random = failed("train", lambda: check_random(self.weights, labels, self._needed))
        return [*recipe, *random, *quantised, *adapter, *examine(self, tokens, context, self._only_packed)]

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

    def _prompter(self, tokenizer: PreTrainedTokenizerBase, context: FitContext) -> Prompter:
        prompter = Prompter(tokenizer, self.chat_template, self.instruction, context.words, context.recipe.max_length)
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
            readout=self.readout.value,
            training=training_id(asdict(self.weights), self._precision, {} if as_they_are else asdict(lora)),
        )
        if as_they_are:
            return replace(card, trained_parameters=0)
        with torch.device("meta"):
            adapted = lora.attach(network)
        adapter = {"lora_rank": lora.rank, "lora_alpha": lora.alpha, "lora_targets": list(lora.targets)}
        trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        return replace(card, trained_parameters=trained, dimensions=card.dimensions | adapter)

    def _label_probabilities(self, prompts: list[list[int]]) -> npt.NDArray[np.float64]:
        """(prompts, labels), by constrained decoding.

        A label's log-probability is the sum of the log-probabilities of its tokens, each normalised over the tokens
        with which some label continues there. A token without alternative has probability 1.
        """
        score = self._packed_scores if self.batching is Batching.packed else self._padded_scores
        log_probabilities = np.zeros((len(prompts), len(self.prompter.answers)))
        for path, children in branches(self.prompter.answers).items():
            sequences, next_token = [[*prompt, *path] for prompt in prompts], partial(score, list(children))
            logits = compute_rows(sequences, len(children), self.prediction_batch_size, next_token)
            allowed = torch.from_numpy(logits).log_softmax(dim=-1).numpy()
            for column, label_ids in enumerate(children.values()):
                log_probabilities[:, label_ids] += allowed[:, [column]]
        return np.exp(log_probabilities)

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """On the tokens of the answers, including their end; with a head, on the labels."""
        if self.readout is Readout.head:
            return self.label_loss(self._head_logits([sample.input_ids for sample in samples]), samples)
        return self._packed_loss(samples) if self.batching is Batching.packed else self._padded_loss(samples)

    def _head_logits(self, prompts: Sequence[list[int]]) -> torch.Tensor:
        """(prompts, labels) float32: the head on each prompt's last token."""
        if self.batching is Batching.packed:
            states = self._states(prompts, last_tokens(prompts)).float()
            logits: torch.Tensor = without_adapter(self.network).score(states)
            return logits
        # transformers takes the last token with another id than padding's for the last token of a prompt.
        last = {prompt[-1] for prompt in prompts}
        filler = next(token for token in count() if token not in last)
        self.network.config.pad_token_id = filler
        padded_logits: torch.Tensor = self._forward(padded(prompts, filler, "right")).logits
        return padded_logits.float()

    def _packed_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """Computes logits only at positions that are followed by a token of the answer."""
        sequences = [sample.input_ids + sample.targets[:-1] for sample in samples]
        reads = [range(len(s.input_ids) - 1, len(ids)) for s, ids in zip(samples, sequences, strict=True)]
        logits = self.network.get_output_embeddings()(self._states(sequences, reads)).float()
        targets = torch.tensor([token for sample in samples for token in sample.targets], device=logits.device)
        return functional.cross_entropy(logits, targets, reduction="sum")

    def _padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """As transformers and peft compute it."""
        batch = padded([sample.input_ids + sample.targets for sample in samples], self.prompter.end, "right")
        labels = [[IGNORED] * len(sample.input_ids) + sample.targets for sample in samples]
        batch["labels"] = padded(labels, IGNORED, "right")["input_ids"]
        loss: torch.Tensor = self._forward(batch, num_items_in_batch=1).loss
        return loss

    def _packed_scores(self, tokens: list[int], sequences: list[list[int]]) -> torch.Tensor:
        """(sequences, tokens): the logits of `tokens` after each sequence, in fp32."""
        states = self._states(sequences, last_tokens(sequences))
        head = self.network.get_output_embeddings().weight[tokens]
        return functional.linear(states.float(), head.float())

    def _padded_scores(self, tokens: list[int], sequences: list[list[int]]) -> torch.Tensor:
        batch = padded(sequences, self.prompter.end, "left")
        batch["position_ids"] = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        logits: torch.Tensor = self._forward(batch, logits_to_keep=1).logits
        return logits[:, -1, tokens]

    def _forward(self, batch: BatchEncoding, **options: int) -> ModelOutput:
        """What transformers computes for a padded batch."""
        with autocast(self.torch_device, self.precision):
            return self.network(**batch.to(self.torch_device), use_cache=False, **options)

    def _states(self, sequences: Sequence[list[int]], reads: Sequence[range]) -> torch.Tensor:
        varlen = self.attention is Attention.flash_attention_2
        return decoder_states(self.network, sequences, reads, varlen, self.torch_device)

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

    def plain(self) -> "DecoderClassifier":
        """Padded batches; labels are generated freely, as the study does, with 8 prompts per batch."""
        check_trains(self.trains)
        padded = replace(self, batching=Batching.padded)
        if self.readout is not Readout.labels:
            return padded
        return replace(padded, readout=Readout.generate, prediction_batch_size=8, max_new_tokens=4)
