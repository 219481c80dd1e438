"""What a decoder's network computes for prompts, packed or padded: logits of tokens and labels, and the loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch.nn import functional
from transformers import BatchEncoding, PreTrainedModel
from transformers.utils import ModelOutput

from baselines.compute.hardware import Computation
from baselines.packed.functions import IGNORED, TokenLoss
from baselines.packed.graphs import Limits, StepGraphs
from baselines.packed.passes import decoder_states, last_tokens
from baselines.packed.projections import JoinedProduct
from baselines.packed.sample import Sample, tokens_and_reads
from baselines.packed.stream import Stream, pack
from baselines.padding import pad
from baselines.weights.lora import without_adapter


@dataclass(frozen=True)
class DecoderNetwork:
    """A network with the options of its computation. `filler` is the token that pads batches."""

    network: PeftModel | PreTrainedModel
    filler: int
    computation: Computation

    @property
    def device(self) -> torch.device:
        return self.computation.device

    def next_logits(self, sequences: Sequence[list[int]], last: int) -> torch.Tensor:
        """Logits of the next token after each of the last `last` tokens of every sequence.

        The shape is (sequences, last, vocabulary), in float32.
        """
        if not self.computation.packed:
            return self._padded_logits(sequences, last).float()
        states = self._states(sequences, [range(len(ids) - last, len(ids)) for ids in sequences])
        logits: torch.Tensor = self.network.get_output_embeddings()(states)
        return logits.view(len(sequences), last, -1).float()

    def scores(self, tokens: list[int], sequences: list[list[int]]) -> torch.Tensor:
        """Logits of `tokens` after each sequence, in fp32 if packed: (sequences, tokens)."""
        if not self.computation.packed:
            return self._padded_logits(sequences, 1)[:, -1, tokens]
        states = self._states(sequences, last_tokens(sequences))
        head = self.network.get_output_embeddings().weight[tokens]
        return functional.linear(states.float(), head.float())

    def head_logits(self, prompts: Sequence[list[int]]) -> torch.Tensor:
        """Logits of the classification head at each prompt's last token: float32, (prompts, labels)."""
        if self.computation.packed:
            return self._score(self._states(prompts, last_tokens(prompts)))
        # transformers would take the last token that is not the padding token, which a prompt may end with.
        batch, base = pad(prompts, self.filler, "right").to(self.device), without_adapter(self.network)
        with self.computation.autocast():
            states = base.base_model(**batch, use_cache=False).last_hidden_state
        ends = batch["attention_mask"].sum(dim=1) - 1
        return self._score(states[torch.arange(len(prompts), device=self.device), ends])

    def _score(self, states: torch.Tensor) -> torch.Tensor:
        """Logits of the classification head for states (prompts, hidden): float32, (prompts, labels)."""
        logits: torch.Tensor = without_adapter(self.network).score(states.float())
        return logits

    def generate(self, prompts: Sequence[list[int]], ends: Sequence[int], limit: int) -> torch.Tensor:
        """The likeliest tokens after each prompt, up to one of `ends` and at most `limit`: (prompts, tokens)."""
        batch = pad(prompts, self.filler, "left").to(self.device)
        with torch.inference_mode(), self.computation.autocast():
            tokens: torch.Tensor = self.network.generate(
                **batch, max_new_tokens=limit, do_sample=False, eos_token_id=ends, pad_token_id=self.filler
            )
        return tokens[:, batch["input_ids"].shape[1] :]

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The summed cross-entropy of the tokens of the answers, including their end."""
        return self._packed_loss(samples) if self.computation.packed else self._padded_loss(samples)

    def _packed_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        stream = pack(*tokens_and_reads(samples), causal=True, varlen=self.computation.varlen).to(self.device)
        targets = torch.tensor([token for sample in samples for token in sample.targets], device=self.device)
        return self.stream_loss(stream, targets)

    def stream_loss(self, stream: Stream, targets: torch.Tensor) -> torch.Tensor:
        """The summed cross-entropy of `targets`, (reads,), at the positions to read; `IGNORED` is left out."""
        logits = self.network.get_output_embeddings()(decoder_states(self.network, stream))
        loss: torch.Tensor = TokenLoss.apply(logits, targets)  # type: ignore[no-untyped-call]
        return loss

    def _padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The loss that transformers computes for a padded batch."""
        batch = pad([sample.input_ids + sample.targets for sample in samples], self.filler, "right")
        labels = [[IGNORED] * len(sample.input_ids) + sample.targets for sample in samples]
        batch["labels"] = pad(labels, IGNORED, "right")["input_ids"]
        loss: torch.Tensor = self._forward(batch, num_items_in_batch=1).loss
        return loss

    def _padded_logits(self, sequences: Sequence[list[int]], last: int) -> torch.Tensor:
        batch = pad(sequences, self.filler, "left")
        batch["position_ids"] = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        logits: torch.Tensor = self._forward(batch, logits_to_keep=last).logits
        return logits

    def _forward(self, batch: BatchEncoding, **options: int) -> ModelOutput:
        """The output of the network for a padded batch."""
        with self.computation.autocast():
            return self.network(**batch.to(self.device), use_cache=False, **options)

    def _states(self, sequences: Sequence[list[int]], reads: Sequence[range]) -> torch.Tensor:
        return decoder_states(
            self.network, pack(sequences, reads, causal=True, varlen=self.computation.varlen).to(self.device)
        )

    def graphs(self, products: Sequence[JoinedProduct], samples: Sequence[Sample], batch: int) -> StepGraphs:
        """CUDA graphs for training steps of `batch` of these samples."""
        limits = Limits.from_samples(*tokens_and_reads(samples), min(batch, len(samples)))
        return StepGraphs(self.stream_loss, products, limits, self.device)
