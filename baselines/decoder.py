"""Llama and relatives: LoRA adapters, the study's prompt, and an answer read off the label names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from transformers import AutoModelForCausalLM, BatchEncoding, PreTrainedModel, set_seed

from baselines import adapters
from baselines.attention import check, packed_attention, usual
from baselines.examination import estimate, examine, tokens_a_text
from baselines.finetune import Sample, check_trackers, finetune
from baselines.hardware import DTYPES, Attention, Batching, Device, Precision, autocast, obstacles, resolve
from baselines.loading import load, on_meta
from baselines.memory import in_passes
from baselines.packing import Stream, pack
from baselines.prompt import Prompter, branches
from baselines.weights import Weights, identity
from benchmark.classifier import BenchmarkError, Examples, Finding, FitContext, FitReport, ModelCard, Predictions

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


@dataclass(frozen=True)
class Lora:
    """Hu et al., 2021: W + (alpha / rank) B A, with only A and B trained."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: list[str] = field(default_factory=lambda: ["all-linear"])

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise BenchmarkError("model.lora: rank and alpha must be at least 1 and dropout in [0, 1).")
        if not self.targets:
            raise BenchmarkError("model.lora.targets is empty; name projections such as q_proj, or [all-linear].")

    def attach(self, network: PreTrainedModel) -> PeftModel:
        targets = "all-linear" if self.targets == ["all-linear"] else list(self.targets)
        return get_peft_model(
            network,
            LoraConfig(
                r=self.rank,
                lora_alpha=self.alpha,
                lora_dropout=self.dropout,
                target_modules=targets,
                task_type="CAUSAL_LM",
            ),
        )


@dataclass
class DecoderClassifier:
    """`chat_template` is Jinja; null takes the tokenizer's own. `max_new_tokens` bounds free answers."""

    weights: Weights
    architecture: dict[str, Any]
    instruction: str
    lora: Lora = field(default_factory=Lora)
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
        check(self.architecture["model_type"], self.batching)
        check_trackers(context.report_to)
        set_seed(context.seed)
        loaded = load(
            AutoModelForCausalLM,
            self.weights,
            self.architecture,
            [self.instruction, *context.labels, *train.texts],
            DTYPES[self.precision],
            usual(self.attention),
        )
        self.tokenizer = loaded.tokenizer
        self.prompter = Prompter(
            self.tokenizer, self.chat_template, self.instruction, context.labels, context.recipe.max_length
        )
        self.network = self.lora.attach(loaded.network).to(self.torch_device)
        if self.batching is Batching.packed:
            adapters.fuse(self.network)
        prompts, truncated = self.prompter.prompts(train.texts)
        samples = [
            Sample(prompt, self.prompter.answers[label])
            for prompt, label in zip(prompts, train.labels.tolist(), strict=True)
        ]
        return finetune(
            self.network,
            loaded,
            samples,
            truncated,
            self.loss,
            context,
            self.torch_device,
            self.precision,
            self.attention,
            self.batching,
            validation,
            self._decode_labels,
        )

    def predict(self, texts: Sequence[str]) -> Predictions:
        return self._decode_labels(texts) if self.readout is Readout.labels else self._generate(texts)

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        tokens = min(tokens_a_text([self.instruction]) + tokens_a_text(texts), context.recipe.max_length)
        card = self.describe()
        needed = estimate(card, self.precision, adapted=True, tokens_a_sample=tokens)
        hardware = obstacles(self.device, self.precision, self.attention, self._streams_only)
        return list(examine(self.weights, card, self.device, hardware, needed, context))

    @property
    def _streams_only(self) -> bool:
        """Generation is left to transformers, which needs the flash-attn package for FlashAttention-2."""
        return self.batching is Batching.packed and self.readout is Readout.labels

    def describe(self) -> ModelCard:
        network = on_meta(AutoModelForCausalLM, self.architecture)
        config = network.config
        parameters = sum(parameter.numel() for parameter in network.parameters())
        with torch.device("meta"):
            adapted = self.lora.attach(network)
        return ModelCard(
            architecture=config.model_type,
            weights=identity(self.weights),
            parameters=parameters,
            trained_parameters=sum(p.numel() for p in adapted.parameters() if p.requires_grad),
            context_length=config.max_position_embeddings,
            grouped_query_attention=config.num_key_value_heads < config.num_attention_heads,
            dimensions={
                **{key: getattr(config, key) for key in DIMENSIONS},
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

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """On the answers only, their end tokens included."""
        return self._packed_loss(samples) if self.batching is Batching.packed else self._padded_loss(samples)

    def _packed_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The vocabulary's logits are computed only where an answer token comes next."""
        sequences = [sample.input_ids + sample.targets[:-1] for sample in samples]
        reads = [range(len(s.input_ids) - 1, len(ids)) for s, ids in zip(samples, sequences, strict=True)]
        logits = self.network.get_output_embeddings()(self._states(sequences, reads)).float()
        targets = torch.tensor([token for sample in samples for token in sample.targets], device=logits.device)
        return functional.cross_entropy(logits, targets, reduction="sum")

    def _padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """As transformers and peft compute it."""
        rows = [(sample.input_ids + sample.targets, len(sample.input_ids)) for sample in samples]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [self.prompter.end] * (longest - len(ids)) for ids, _ in rows])
        mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
        asked = torch.tensor([[0] * prompt + [1] * (longest - prompt) for _, prompt in rows])
        labels = ids.masked_fill((mask & asked) == 0, IGNORED)
        batch = BatchEncoding({"input_ids": ids, "attention_mask": mask, "labels": labels}).to(self.torch_device)
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
        states = self._states(sequences, [range(len(ids) - 1, len(ids)) for ids in sequences])
        head = self.network.get_output_embeddings().weight[tokens]
        return functional.linear(states.float(), head.float())

    def _padded_scores(self, sequences: list[list[int]], tokens: list[int]) -> torch.Tensor:
        batch = self._pad_left(sequences)
        batch["position_ids"] = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        with autocast(self.torch_device, self.precision):
            logits: torch.Tensor = self.network(**batch, logits_to_keep=1, use_cache=False).logits
        return logits[:, -1, tokens]

    def _states(self, sequences: list[list[int]], reads: Sequence[range]) -> torch.Tensor:
        """(reads, hidden): the last hidden states at the positions to read, in one packed pass."""
        stream = pack(
            sequences,
            reads,
            causal=True,
            varlen=self.attention is Attention.flash_attention_2,
        ).to(self.torch_device)
        network = self.network.get_base_model()
        body = network.base_model
        with packed_attention(network), _last_mlp_where_read(body.layers[-1].mlp, stream):
            states = body(
                input_ids=stream.input_ids, position_ids=stream.position_ids, layout=stream.layout, use_cache=False
            ).last_hidden_state
        read: torch.Tensor = states[0, stream.read]
        return read

    def _generate(self, texts: Sequence[str]) -> Predictions:
        prompts, truncated = self.prompter.prompts(texts)
        answers: list[str] = []
        self.network.eval()

        def answer(rows: Sequence[int]) -> None:
            batch = self._pad_left([prompts[row] for row in rows])
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

    def _pad_left(self, sequences: list[list[int]]) -> BatchEncoding:
        """A batch whose last column holds every sequence's last token."""
        longest = max(map(len, sequences))
        ids = torch.tensor([[self.prompter.end] * (longest - len(s)) + s for s in sequences])
        mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])
        return BatchEncoding({"input_ids": ids, "attention_mask": mask}).to(self.torch_device)


@contextmanager
def _last_mlp_where_read(mlp: Any, stream: Stream) -> Iterator[None]:
    """Behind the last attention every token stands alone: compute the last MLP only for tokens that are read."""

    def everywhere(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return output.new_zeros(1, stream.input_ids.shape[1], output.shape[-1]).index_copy_(1, stream.read, output)

    handles = [
        mlp.register_forward_pre_hook(lambda _, states: states[0][:, stream.read]),
        mlp.register_forward_hook(everywhere),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
