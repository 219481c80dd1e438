"""Llama and relatives: LoRA adapters, the study's prompt, and three ways to read an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    set_seed,
)

from baselines.packed import fused as adapters
from baselines.packed.attention import check, usual
from baselines.packed.passes import last_tokens, packed_states, padded
from baselines.prompt import Prompter, branches
from baselines.training.hardware import (
    DTYPES,
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
from baselines.training.trainer import Sample, check_trackers, finetune, untrained
from baselines.weights.loading import Loaded, load, on_meta
from baselines.weights.lora import CLASSIFYING, GENERATIVE, Adapter, Lora, read_adapter
from baselines.weights.sources import Weights, identity
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Finding, FitContext, FitReport, ModelCard, Predictions

IGNORED = -100  # a target that cross-entropy leaves out
DIMENSIONS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
)


class Readout(StrEnum):
    labels = "labels"  # constrained decoding: only the labels' tokens compete
    generate = "generate"  # greedy and free; an answer that is no label is wrong
    head = "head"  # a classification head on the prompt's last token, trained beside the adapters


@dataclass
class DecoderClassifier:
    """`chat_template` is Jinja; null takes the tokenizer's own. `max_new_tokens` bounds free answers.

    `adapter` is a folder with an adapter that exists already: nothing is trained then.
    """

    weights: Weights
    architecture: dict[str, Any]
    instruction: str
    lora: Lora = field(default_factory=Lora)
    adapter: str | None = None
    chat_template: str | None = None
    readout: Readout = Readout.labels
    max_new_tokens: int = 8
    device: Device = Device.auto
    precision: Precision = Precision.fp32
    attention: Attention = Attention.sdpa
    batching: Batching = Batching.packed
    prediction_batch_size: int = 64

    def __post_init__(self) -> None:
        if self.prediction_batch_size < 1 or self.max_new_tokens < 1:
            raise BenchmarkError("model.prediction_batch_size and model.max_new_tokens must be at least 1.")

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.torch_device = resolve(self.device, self.precision, self.attention, self._streams_only)
        card = self.describe()  # an architecture that cannot be is to fail before it is trained
        check(card.architecture, self.batching)
        check_trackers(context.report_to)
        adapter = self._given_adapter(context.labels)
        loaded = self._load(train, context, adapter)
        if adapter is not None:
            provenance = loaded.provenance | {"adapter": {"name": adapter.name, "sha256": adapter.sha256}}
            reads = self.batching if self._streams_only else Batching.padded
            computation = Computation(self.torch_device, self.precision, self.attention, reads)
            return untrained(self.network, provenance, computation)
        prompts, truncated = self.prompter.prompts(train.texts)
        samples = [
            Sample(prompt, [label] if self.readout is Readout.head else self.prompter.answers[label])
            for prompt, label in zip(prompts, train.labels.tolist(), strict=True)
        ]
        return finetune(
            self.network,
            loaded,
            samples,
            truncated,
            self.loss,
            context,
            Computation(self.torch_device, self.precision, self.attention, self.batching),
            validation,
            self.classify,
        )

    def _load(self, train: Examples, context: FitContext, adapter: Adapter | None) -> Loaded:
        """Tokenizer, prompts and the network with its adapter: the one given, else a new one."""
        set_seed(context.seed)
        by_head = self.readout is Readout.head
        loaded = load(
            self._auto_class,
            self.weights,
            self.architecture,
            [self.instruction, *context.labels, *train.texts],
            DTYPES[self.precision],
            usual(self.attention),
            num_labels=len(context.labels),  # without a head, no matter
        )
        self.tokenizer = loaded.tokenizer
        self.prompter = Prompter(
            self.tokenizer, self.chat_template, self.instruction, context.labels, context.recipe.max_length
        )
        if self.readout is Readout.generate:
            self._check_room_for_labels()
        if by_head:
            loaded.network.score.float()  # trained, as the adapters are
            loaded.network.config.pad_token_id = self.prompter.end  # tells transformers where a prompt's last token is
        else:
            loaded.network.generation_config = GenerationConfig()  # the checkpoint's may penalise or sample
        adapted = self.lora.attach(loaded.network, self._task) if adapter is None else adapter.attach(loaded.network)
        self.network = adapted.to(self.torch_device)
        if self.batching is Batching.packed:
            adapters.fuse(self.network)
        return loaded

    def _check_room_for_labels(self) -> None:
        longest = max(self.prompter.answers, key=len)
        if (tokens := len(longest) - 1) > self.max_new_tokens:  # but for the end
            raise BenchmarkError(
                f"model.max_new_tokens is {self.max_new_tokens}, but the label {self.tokenizer.decode(longest[:-1])} "
                f"has {tokens} tokens; set model.max_new_tokens={tokens + 1}."
            )

    def predict(self, texts: Sequence[str]) -> Predictions:
        return self._generate(texts) if self.readout is Readout.generate else self.classify(texts)

    def classify(self, texts: Sequence[str]) -> Predictions:
        """With a probability for each label: by the head, or by decoding among the labels' names."""
        return self._by_head(texts) if self.readout is Readout.head else self._decode_labels(texts)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        tokens = min(tokens_a_text([self.instruction]) + tokens_a_text(texts), context.recipe.max_length)
        card = self.describe()
        needed = estimate(card, self.precision, adapted=True, tokens_a_sample=tokens)
        hardware = obstacles(self.device, self.precision, self.attention, self._streams_only)
        found = list(examine(self.weights, card, self.device, hardware, needed, context))
        try:
            adapter = self._given_adapter(context.labels)
        except BenchmarkError as error:
            return [Finding.stopping("adapter", str(error)), *found]
        return found if adapter is None else [Finding("adapter", f"{adapter.name} fits"), *found]

    def _given_adapter(self, labels: Sequence[str]) -> Adapter | None:
        if self.adapter is None:
            return None
        network = on_meta(self._auto_class, self.architecture | {"num_labels": len(labels)})
        return read_adapter(Path(self.adapter), self.lora, network, self._task)

    @property
    def _task(self) -> str:
        return CLASSIFYING if self.readout is Readout.head else GENERATIVE

    @property
    def _auto_class(self) -> Any:
        return AutoModelForSequenceClassification if self.readout is Readout.head else AutoModelForCausalLM

    @property
    def _streams_only(self) -> bool:
        """Generation is left to transformers, which needs the flash-attn package for FlashAttention-2."""
        return self.batching is Batching.packed and self.readout is not Readout.generate

    def describe(self) -> ModelCard:
        """A classification head, being the data set's, is not counted, as it is not for encoders."""
        network = on_meta(AutoModel if self.readout is Readout.head else AutoModelForCausalLM, self.architecture)
        config = network.config
        parameters = sum(parameter.numel() for parameter in network.parameters())
        key_value_heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
        with torch.device("meta"):
            adapted = self.lora.attach(network)
        return ModelCard(
            architecture=config.model_type,
            weights=identity(self.weights),
            parameters=parameters,
            trained_parameters=sum(p.numel() for p in adapted.parameters() if p.requires_grad),
            context_length=config.max_position_embeddings,
            grouped_query_attention=key_value_heads < config.num_attention_heads,
            dimensions={
                **{key: getattr(config, key) for key in DIMENSIONS if hasattr(config, key)},
                "lora_rank": self.lora.rank,
                "lora_alpha": self.lora.alpha,
                "lora_targets": list(self.lora.targets),
            },
        )

    def _decode_labels(self, texts: Sequence[str]) -> Predictions:
        """Probabilities of constrained decoding: wherever label names part, only their next tokens compete.

        A label's log-probability is the sum over those partings of its next token's, normalised
        among the tokens allowed there; where only one token is allowed it is certain.
        """
        prompts, truncated = self.prompter.prompts(texts)
        log_probabilities = np.zeros((len(texts), len(self.prompter.answers)))
        for path, children in branches(self.prompter.answers).items():
            logits = self._next_token_logits([[*prompt, *path] for prompt in prompts], list(children))
            allowed = torch.from_numpy(logits).log_softmax(dim=-1).numpy()
            for column, label_ids in enumerate(children.values()):
                log_probabilities[:, label_ids] += allowed[:, [column]]
        return replace(Predictions.from_probabilities(np.exp(log_probabilities)), truncated_texts=truncated)

    def _by_head(self, texts: Sequence[str]) -> Predictions:
        prompts, truncated = self.prompter.prompts(texts)
        probabilities = np.zeros((len(texts), len(self.prompter.labels)), dtype=np.float32)
        self.network.eval()

        def answer(rows: Sequence[int]) -> None:
            with torch.inference_mode():
                logits = self._head_logits([prompts[row] for row in rows])
            probabilities[rows] = logits.softmax(dim=-1).cpu().numpy()

        in_order = sorted(range(len(prompts)), key=lambda row: prompts[row])
        in_passes(in_order, self.prediction_batch_size, answer)
        return replace(Predictions.from_probabilities(probabilities), truncated_texts=truncated)

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """On the answers only, their end tokens included; with a head, on the labels."""
        if self.readout is Readout.head:
            logits = self._head_logits([sample.input_ids for sample in samples])
            labels = torch.tensor([sample.targets[0] for sample in samples], device=logits.device)
            return functional.cross_entropy(logits, labels, reduction="sum")
        return self._packed_loss(samples) if self.batching is Batching.packed else self._padded_loss(samples)

    def _head_logits(self, prompts: Sequence[list[int]]) -> torch.Tensor:
        """(prompts, labels) float32: the head on each prompt's last token."""
        if self.batching is Batching.packed:
            logits: torch.Tensor = self.network.get_base_model().score(
                self._states(prompts, last_tokens(prompts)).float()
            )
            return logits
        batch = padded(prompts, self.prompter.end, "right").to(self.torch_device)
        with autocast(self.torch_device, self.precision):
            logits = self.network(**batch, use_cache=False).logits
        return logits.float()

    def _packed_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The vocabulary's logits are computed only where an answer token comes next."""
        sequences = [sample.input_ids + sample.targets[:-1] for sample in samples]
        reads = [range(len(s.input_ids) - 1, len(ids)) for s, ids in zip(samples, sequences, strict=True)]
        logits = self.network.get_output_embeddings()(self._states(sequences, reads)).float()
        targets = torch.tensor([token for sample in samples for token in sample.targets], device=logits.device)
        return functional.cross_entropy(logits, targets, reduction="sum")

    def _padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """As transformers and peft compute it."""
        batch = padded([sample.input_ids + sample.targets for sample in samples], self.prompter.end, "right")
        longest = batch["input_ids"].shape[1]
        asked = torch.tensor([[0] * len(s.input_ids) + [1] * (longest - len(s.input_ids)) for s in samples])
        batch["labels"] = batch["input_ids"].masked_fill((batch["attention_mask"] & asked) == 0, IGNORED)
        batch = batch.to(self.torch_device)
        with autocast(self.torch_device, self.precision):
            loss: torch.Tensor = self.network(**batch, num_items_in_batch=1, use_cache=False).loss
        return loss

    def _next_token_logits(
        self, sequences: list[list[int]], tokens: list[int]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(sequences, tokens): the logits of `tokens` after each sequence; neighbours share a beginning."""
        score = self._packed_scores if self.batching is Batching.packed else self._padded_scores
        in_order = sorted(range(len(sequences)), key=lambda row: sequences[row])
        logits = np.zeros((len(sequences), len(tokens)))
        self.network.eval()

        def answer(rows: Sequence[int]) -> None:
            with torch.inference_mode():
                logits[rows] = score([sequences[row] for row in rows], tokens).double().cpu().numpy()

        in_passes(in_order, self.prediction_batch_size, answer)
        return logits

    def _packed_scores(self, sequences: list[list[int]], tokens: list[int]) -> torch.Tensor:
        """Of the language-model head, only the rows of `tokens`, in fp32."""
        states = self._states(sequences, last_tokens(sequences))
        head = self.network.get_output_embeddings().weight[tokens]
        return functional.linear(states.float(), head.float())

    def _padded_scores(self, sequences: list[list[int]], tokens: list[int]) -> torch.Tensor:
        batch = padded(sequences, self.prompter.end, "left").to(self.torch_device)
        batch["position_ids"] = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        with autocast(self.torch_device, self.precision):
            logits: torch.Tensor = self.network(**batch, logits_to_keep=1, use_cache=False).logits
        return logits[:, -1, tokens]

    def _states(self, sequences: Sequence[list[int]], reads: Sequence[range]) -> torch.Tensor:
        varlen = self.attention is Attention.flash_attention_2
        return packed_states(self.network, sequences, reads, varlen, self.torch_device)

    def _generate(self, texts: Sequence[str]) -> Predictions:
        prompts, truncated = self.prompter.prompts(texts)
        answers: list[str] = []
        self.network.eval()

        def answer(rows: Sequence[int]) -> None:
            batch = padded([prompts[row] for row in rows], self.prompter.end, "left").to(self.torch_device)
            with torch.inference_mode(), autocast(self.torch_device, self.precision):
                written = self.network.generate(
                    **batch,
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    eos_token_id=self.prompter.end,
                    pad_token_id=self.prompter.end,
                )
            new = written[:, batch["input_ids"].shape[1] :]
            answers.extend(self.tokenizer.batch_decode(new, skip_special_tokens=True))

        in_passes(range(len(prompts)), self.prediction_batch_size, answer)
        return replace(Predictions.from_answers(answers, self.prompter.labels), truncated_texts=truncated)

    def fast_precisions(self) -> list[str]:
        return fast_precisions(self.precision)

    def in_precision(self, name: str) -> "DecoderClassifier":
        return replace(self, precision=Precision(name))

    def plain(self) -> "DecoderClassifier":
        """Padded batches; labels are generated freely, as the study does, with 8 prompts per batch."""
        if self.adapter is not None:
            raise BenchmarkError("model.adapter is given, so nothing is trained.", "Leave model.adapter out.")
        padded = replace(self, batching=Batching.padded)
        if self.readout is not Readout.labels:
            return padded
        return replace(padded, readout=Readout.generate, prediction_batch_size=8, max_new_tokens=4)
