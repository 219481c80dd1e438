"""Small trained networks with their samples, and the definition of attention over segments."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from baselines.decoder import DecoderClassifier
from baselines.encoder import EncoderClassifier
from baselines.packed.attention import Options, States
from baselines.packed.sample import Sample
from baselines.packed.stream import Varlen
from benchmark.config import RunConfig
from benchmark.data import load as data
from benchmark.interface import FitContext, FitReport, Readout
from benchmark.run.compose import build_classifier

Compose = Callable[..., RunConfig]
Network = EncoderClassifier | DecoderClassifier


def trained(config: RunConfig, work_dir: Path, **options: Any) -> tuple[Network, FitReport, data.Splits]:
    """A model after the few steps of `config`, so that adapters and heads have left their initial values."""
    classifier = build_classifier(config.model)
    assert isinstance(classifier, EncoderClassifier | DecoderClassifier)
    splits = data.load(config.dataset)
    recipe = replace(config.recipe, **options)
    context = FitContext(tuple(config.dataset.labels), recipe, config.seed, work_dir, checkpoints=False)
    report = classifier.fit(splits.train, splits.validation, context)
    assert not list(work_dir.glob("checkpoint-*"))  # which the next training would continue from
    return classifier, report, splits


def samples_of(classifier: Network, splits: data.Splits, rows: int) -> list[Sample]:
    texts, labels = splits.train.texts[:rows], splits.train.labels[:rows].tolist()
    if isinstance(classifier, EncoderClassifier):
        return [Sample(ids, [label]) for ids, label in zip(classifier._token_ids(texts)[0], labels, strict=True)]
    prompts, _ = classifier.prompter.prompts(texts)
    answers = classifier.prompter.answers if classifier.readout is not Readout.head else [[label] for label in range(6)]
    return [Sample(ids, answers[label]) for ids, label in zip(prompts, labels, strict=True)]


def reference_kernel(states: States, layout: Varlen, options: Options) -> torch.Tensor:
    """The definition, segment by segment; with a causal mask, a query attends to the keys up to its own position."""
    query, key, value = states
    ends = layout.query_ends.tolist(), layout.key_ends.tolist()
    mixed = []
    for segment in range(len(ends[0]) - 1):
        own = query[ends[0][segment] : ends[0][segment + 1]]
        seen = slice(ends[1][segment], ends[1][segment + 1])
        groups = query.shape[1] // key.shape[1]
        keys, values = (part[seen].repeat_interleave(groups, dim=1) for part in (key, value))
        scores = torch.einsum("qhd,khd->hqk", own, keys) * options.scaling
        if layout.causal:
            future = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1 + scores.shape[2] - scores.shape[1])
            scores = scores.masked_fill(future, float("-inf"))
        if options.window is not None:
            queries, keys_seen = scores.shape[1:]
            distance = torch.arange(keys_seen - queries, keys_seen)[:, None] - torch.arange(keys_seen)
            scores = scores.masked_fill(distance.abs() >= options.window, float("-inf"))
        mixed.append(torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), values))
    return torch.cat(mixed)
