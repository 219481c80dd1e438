"""Changed test texts, by rules that depend on nothing but the text: the same text always changes in the same way."""

import random
import re
from collections.abc import Callable
from dataclasses import replace

from benchmark.dataset_config import Perturbation
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples

TYPO_SHARE = 0.1  # of the words with four letters or more
WORD = re.compile(r"[^\W\d_]{4,}")
FEEL = re.compile(r"\b(?:feel|feels|feeling|feelings|felt)\b\s*", re.IGNORECASE)
NEGATED = re.compile(r"\b(?:am|is|are|was|were|be|been|feel|feels|feeling|felt)\b", re.IGNORECASE)


def perturb_texts(test: Examples, how: Perturbation) -> tuple[Examples, int]:
    """The test split with changed texts, and their number. Raises `BenchmarkError` if no text changes."""
    texts = tuple(RULES[how](text) for text in test.texts)
    changed = sum(new != old for new, old in zip(texts, test.texts, strict=True))
    if not changed:
        raise BenchmarkError(
            f"dataset.perturb={how} changes none of the {len(test)} test texts.", "Choose another perturbation."
        )
    return replace(test, texts=texts), changed


def _typos(text: str) -> str:
    """Choose a tenth of the longer words, at least one: swap two neighbouring letters, leave one out or double one."""
    generator = random.Random(text)  # noqa: S311  # no secret
    words = list(WORD.finditer(text))
    chosen = generator.sample(words, min(len(words), max(1, round(TYPO_SHARE * len(words)))))
    for word in sorted(chosen, key=re.Match.start, reverse=True):
        text = text[: word.start()] + _misspell(word[0], generator) + text[word.end() :]
    return text


def _misspell(word: str, generator: random.Random) -> str:
    """Swap two letters of the word, leave one out or double one; the first letter stays.

    Two equal letters that are swapped leave the word as it was.
    """
    at, kind = 1 + int(generator.random() * (len(word) - 2)), int(generator.random() * 3)
    here, following = word[at], word[at + 1]
    return word[:at] + (following + here, following, here + here + following)[kind] + word[at + 2 :]


def _without_feel(text: str) -> str:
    """Leave out every form of "feel", unless nothing else is left."""
    return FEEL.sub("", text).strip() or text


def _negate(text: str) -> str:
    """Add "not" after the first form of "be" or "feel"."""
    return NEGATED.sub(lambda match: f"{match[0]} not", text, count=1)


RULES: dict[Perturbation, Callable[[str], str]] = {
    Perturbation.typos: _typos,
    Perturbation.uppercase: str.upper,
    Perturbation.lowercase: str.lower,
    Perturbation.no_feel: _without_feel,
    Perturbation.negation: _negate,
}
