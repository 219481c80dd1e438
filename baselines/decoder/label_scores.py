"""Probabilities of labels by the words that a decoder writes for them: constrained, or of whole labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax, logsumexp

from baselines.compute.memory import compute_rows
from benchmark.interface import Predictions

Scores = npt.NDArray[np.float64]
Tokens = list[int]
NextLogits = Callable[[Sequence[Tokens], int], torch.Tensor]
"""Computes the logits of the next token after each of the `last` tokens, (sequences, last, vocabulary)."""
Branches = dict[tuple[int, ...], dict[int, list[int]]]
"""The first tokens of answers -> the next token -> the answers that continue with it."""
CONTENT_FREE = ("N/A", "[MASK]", "")
"""Texts without content, by which Zhao et al. (2021), "Calibrate Before Use", measure what a prompt prefers."""


@dataclass(frozen=True)
class BatchedLogits:
    """A function that computes logits, and the number of sequences in a pass."""

    next_logits: NextLogits
    pass_size: int


class LabelScore(StrEnum):
    """The score of a whole label."""

    sum = "sum"  # the sum of the log-probabilities of its tokens
    mean = "mean"  # their mean


def constrained_probabilities(
    prompts: Sequence[Tokens],
    answers: Sequence[Tokens],
    pass_size: int,
    score: Callable[[Tokens, list[Tokens]], torch.Tensor],
) -> Scores:
    """Probabilities of the answers by constrained decoding, (prompts, answers).

    `score` returns the logits of some tokens after each sequence.
    An answer's log-probability is the sum of the log-probabilities of its tokens, each normalised over the tokens
    with which some answer continues there. A token without alternative has probability 1.
    """
    log_probabilities = np.zeros((len(prompts), len(answers)))
    for path, children in branches(answers).items():
        sequences, next_token = [[*prompt, *path] for prompt in prompts], partial(score, list(children))
        logits = compute_rows(sequences, len(children), pass_size, next_token)
        allowed = torch.from_numpy(logits).log_softmax(dim=-1).numpy()
        for column, label_ids in enumerate(children.values()):
            log_probabilities[:, label_ids] += allowed[:, [column]]
    return np.exp(log_probabilities)


def whole_label_predictions(
    prompts: list[Tokens],
    content_free: list[Tokens],
    answers: Sequence[Tokens],
    score: LabelScore,
    logits: BatchedLogits,
) -> Predictions:
    """The predictions by the score of whole labels, with the labels that the other score predicts.

    Scores are calibrated if there are prompts without content.
    """
    words = scored_tokens(answers)
    sums = log_probabilities_of(content_free + prompts, words, logits)
    predictions = {
        kind: Predictions.from_probabilities(softmax_of_scores(sums, words, kind, len(content_free)))
        for kind in LabelScore
    }
    return replace(
        predictions[score],
        other_scores={kind.value: predictions[kind].predicted for kind in LabelScore if kind is not score},
    )


def scored_tokens(answers: Sequence[Tokens]) -> list[Tokens]:
    """The tokens of answers that are scored: without the end, unless an answer is the beginning of another one.

    Without their end, such an answer would always be at least as probable as the other one.
    """
    words = [answer[:-1] for answer in answers]
    begins_another = any(a is not b and b[: len(a)] == a for a in words for b in words)
    return list(answers) if begins_another else words


def log_probabilities_of(prompts: Sequence[Tokens], words: Sequence[Tokens], logits: BatchedLogits) -> Scores:
    """Sums of the log-probabilities of all tokens, each over the whole vocabulary: (prompts, words)."""
    sums = np.zeros((len(prompts), len(words)))
    unread = _continuations(words)
    longest = [path for path in unread if not any(longer[:-1] == path for longer in unread if longer)]
    for path in longest:
        points = [path[:depth] for depth in range(len(path) + 1)]
        steps = {depth: unread.pop(point) for depth, point in enumerate(points) if point in unread}
        read = partial(_log_probabilities, logits.next_logits, {depth: list(step) for depth, step in steps.items()})
        label_ids = [ids for step in steps.values() for ids in step.values()]
        rows = compute_rows([[*prompt, *path] for prompt in prompts], len(label_ids), logits.pass_size, read)
        for column, ids in enumerate(label_ids):
            sums[:, ids] += rows[:, [column]]
    return sums


def _log_probabilities(next_logits: NextLogits, steps: dict[int, Tokens], sequences: list[Tokens]) -> torch.Tensor:
    """Log-probabilities of the tokens of all steps, (sequences, tokens).

    A step's key is the number of tokens of the path that come before it.
    """
    logits = next_logits(sequences, max(steps) + 1)
    logits = logits - logits.logsumexp(dim=-1, keepdim=True)
    return torch.cat([logits[:, depth, tokens] for depth, tokens in steps.items()], dim=1)


def softmax_of_scores(sums: Scores, words: Sequence[Tokens], score: LabelScore, content_free: int) -> Scores:
    """The softmax of the scores, (texts, labels).

    The first `content_free` rows belong to texts without content. If there are any, the probabilities of the other
    texts are divided by the mean probabilities of these rows.
    """
    scores = sums if score is LabelScore.sum else sums / np.array([len(tokens) for tokens in words])
    logs = log_softmax(scores, axis=1)
    if content_free:
        logs = log_softmax(logs[content_free:] - logsumexp(logs[:content_free], axis=0), axis=1)
    probabilities: Scores = np.exp(logs)
    return probabilities


def branches(answers: Sequence[Tokens]) -> Branches:
    """The points where answers differ.

    >>> branches([[7, 8, 0], [7, 9, 0], [5, 0]])
    {(): {7: [0, 1], 5: [2]}, (7,): {8: [0], 9: [1]}}
    """
    return {path: children for path, children in _continuations(answers).items() if len(children) > 1}


def _continuations(answers: Sequence[Tokens]) -> Branches:
    continued: Branches = {}
    for index, answer in enumerate(answers):
        for depth, token in enumerate(answer):
            continued.setdefault(tuple(answer[:depth]), {}).setdefault(token, []).append(index)
    return continued
