"""What a decoder's network computes for prompts, packed or padded: logits of tokens and labels, and the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch
from peft import PeftModel
from torch.nn import functional
from transformers import BatchEncoding, PreTrainedModel
from transformers.utils import ModelOutput

from baselines.packed.passes import decoder_states, last_tokens, padded, without_adapter
from baselines.training.hardware import Attention, Batching, Precision, autocast
from baselines.training.trainer import Sample

IGNORED = -100  # a target that cross-entropy leaves out


@dataclass(frozen=True)
class DecoderNetwork:
    """A network and how it is computed. `filler` pads batches."""

    network: PeftModel | PreTrainedModel
    filler: int
    device: torch.device
    precision: Precision
    attention: Attention
    batching: Batching

    @property
    def packed(self) -> bool:
        return self.batching is Batching.packed

    def next_logits(self, sequences: Sequence[list[int]], last: int) -> torch.Tensor:
        """(sequences, last, vocabulary) float32: of the next token after each of the `last` tokens."""
        if not self.packed:
            return self._padded_logits(sequences, last).float()
        states = self._states(sequences, [range(len(ids) - last, len(ids)) for ids in sequences])
        logits: torch.Tensor = self.network.get_output_embeddings()(states)
        return logits.view(len(sequences), last, -1).float()

    def scores(self, tokens: list[int], sequences: list[list[int]]) -> torch.Tensor:
        """(sequences, tokens): the logits of `tokens` after each sequence, in fp32 if packed."""
        if not self.packed:
            return self._padded_logits(sequences, 1)[:, -1, tokens]
        states = self._states(sequences, last_tokens(sequences))
        head = self.network.get_output_embeddings().weight[tokens]
        return functional.linear(states.float(), head.float())

    def head_logits(self, prompts: Sequence[list[int]]) -> torch.Tensor:
        """(prompts, labels) float32: the classification head on each prompt's last token."""
        if self.packed:
            states = self._states(prompts, last_tokens(prompts)).float()
            logits: torch.Tensor = without_adapter(self.network).score(states)
            return logits
        # transformers takes the last token with another id than padding's for the last token of a prompt.
        last = {prompt[-1] for prompt in prompts}
        filler = next(token for token in count() if token not in last)
        self.network.config.pad_token_id = filler
        padded_logits: torch.Tensor = self._forward(padded(prompts, filler, "right")).logits
        return padded_logits.float()

    def loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """The sum over the tokens of the answers, including their end."""
        return self._packed_loss(samples) if self.packed else self._padded_loss(samples)

    def _packed_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """Computes logits only at positions that are followed by a token of the answer."""
        sequences = [sample.input_ids + sample.targets[:-1] for sample in samples]
        reads = [range(len(s.input_ids) - 1, len(ids)) for s, ids in zip(samples, sequences, strict=True)]
        logits = self.network.get_output_embeddings()(self._states(sequences, reads)).float()
        targets = torch.tensor([token for sample in samples for token in sample.targets], device=logits.device)
        return functional.cross_entropy(logits, targets, reduction="sum")

    def _padded_loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        """As transformers and peft compute it."""
        batch = padded([sample.input_ids + sample.targets for sample in samples], self.filler, "right")
        labels = [[IGNORED] * len(sample.input_ids) + sample.targets for sample in samples]
        batch["labels"] = padded(labels, IGNORED, "right")["input_ids"]
        loss: torch.Tensor = self._forward(batch, num_items_in_batch=1).loss
        return loss

    def _padded_logits(self, sequences: Sequence[list[int]], last: int) -> torch.Tensor:
        batch = padded(sequences, self.filler, "left")
        batch["position_ids"] = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        logits: torch.Tensor = self._forward(batch, logits_to_keep=last).logits
        return logits

    def _forward(self, batch: BatchEncoding, **options: int) -> ModelOutput:
        """What transformers computes for a padded batch."""
        with autocast(self.device, self.precision):
            return self.network(**batch.to(self.device), use_cache=False, **options)

    def _states(self, sequences: Sequence[list[int]], reads: Sequence[range]) -> torch.Tensor:
        varlen = self.attention is Attention.flash_attention_2
        return decoder_states(self.network, sequences, reads, varlen, self.device)
