"""The embedded data set: first-person sentences about a feeling, composed by a small grammar of our own.

It stands in where no file and no network is at hand, and is made to tell models apart: some feelings are met in the
test split only, contrasts name a feeling that is not the answer, and a share of the labels is wrong on purpose.
"""

import math
import random
from collections.abc import Sequence
from itertools import product

from benchmark.config import Synthetic
from benchmark.errors import BenchmarkError

LABEL_ROWS = {"sadness": 4666, "joy": 5362, "love": 1304, "anger": 2159, "fear": 1937, "surprise": 572}
"""Rows of each label among the 16,000 official training rows of emotion (Saravia et al. 2018), here imitated."""

CONTRAST_SHARE = 0.3  # of the rows; they name a second feeling, which is denied, expected or somebody else's
RESERVED_SHARE = 1 / 3  # of the test rows; their feeling occurs in no other split


def compose(config: Synthetic, labels: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Splits train, validation and test in shuffled order, each a list of (text, label name).

    The result is a function of `config` alone, and no text occurs twice in it. Raises `BenchmarkError` for labels
    other than the grammar's six, for a split with fewer rows than labels, and for more rows than it can compose.
    """
    if sorted(labels) != sorted(LABEL_ROWS):
        raise BenchmarkError(
            f"The embedded data set has the labels {', '.join(LABEL_ROWS)}, not {', '.join(labels)}; "
            "set dataset.labels to these six or choose another dataset."
        )
    generator = random.Random(config.seed)  # noqa: S311  (nothing secret here)
    sizes = {"train": config.train, "validation": config.validation, "test": config.test}
    counts = {split: label_counts(split, rows) for split, rows in sizes.items()}
    splits: dict[str, list[tuple[str, str]]] = {split: [] for split in sizes}
    for label, reserved, contrast in product(LABEL_ROWS, (False, True), (False, True)):
        rows = {split: _pool_rows(split, counts[split][label], reserved, contrast) for split in sizes}
        texts = iter(_draw(label, reserved, contrast, sum(rows.values()), generator))
        for split, wanted in rows.items():
            splits[split] += [(next(texts), label) for _ in range(wanted)]
    for examples in splits.values():
        generator.shuffle(examples)
        _flip_labels(examples, _flipped_rows(config.flipped_share, len(examples)), generator)
    return splits


def best_possible_accuracy(config: Synthetic) -> float:
    """The test accuracy, in [0, 1], of someone who reads every sentence rightly: flipped rows cannot be guessed."""
    return 1 - _flipped_rows(config.flipped_share, config.test) / config.test


def label_counts(split: str, rows: int) -> dict[str, int]:
    """Label -> rows in the official proportions, by largest remainders, at least one each; they sum to `rows`."""
    if rows < len(LABEL_ROWS):
        raise BenchmarkError(f"dataset.synthetic.{split} is {rows}; it needs {len(LABEL_ROWS)} or more, one a label.")
    total = sum(LABEL_ROWS.values())
    counts = {label: rows * share // total for label, share in LABEL_ROWS.items()}
    by_remainder = sorted(LABEL_ROWS, key=lambda label: rows * LABEL_ROWS[label] % total, reverse=True)
    for label in by_remainder[: rows - sum(counts.values())]:
        counts[label] += 1
    for label in [label for label, count in counts.items() if count == 0]:
        counts[label] = 1
        counts[max(counts, key=counts.__getitem__)] -= 1
    return counts


def _pool_rows(split: str, rows: int, reserved: bool, contrast: bool) -> int:
    """How many of a label's `rows` in a split are drawn from one of its four pools."""
    unseen = round(RESERVED_SHARE * rows) if split == "test" else 0
    rows = unseen if reserved else rows - unseen
    contrasts = round(CONTRAST_SHARE * rows)
    return contrasts if contrast else rows - contrasts


def _flipped_rows(flipped_share: float, rows: int) -> int:
    return round(flipped_share * rows)


def _flip_labels(examples: list[tuple[str, str]], flipped: int, generator: random.Random) -> None:
    """Give `flipped` of the rows, in place, one of the five labels that are wrong for them."""
    for row in generator.sample(range(len(examples)), flipped):
        text, label = examples[row]
        examples[row] = text, generator.choice([other for other in LABEL_ROWS if other != label])


def _draw(label: str, reserved: bool, contrast: bool, rows: int, generator: random.Random) -> list[str]:
    """`rows` different sentences of one pool in random order; raises `BenchmarkError` if there are not as many."""
    slots = _slots(label, reserved, contrast)
    capacity = math.prod(len(phrases) for phrases in slots.values())
    if rows > capacity:
        raise BenchmarkError(
            f"dataset.synthetic asks for {rows} {'contrasting' if contrast else 'plain'} {label} sentences"
            f"{' reserved for test' if reserved else ''}, but the grammar has only {capacity}; "
            f"lower dataset.synthetic.{'test' if reserved else 'train, validation or test'}."
        )
    return [_sentence(number, slots) for number in generator.sample(range(capacity), rows)]


def _slots(label: str, reserved: bool, contrast: bool) -> dict[str, tuple[str, ...]]:
    """The phrases that may fill each slot of a pool's sentences; "frame" is the sentence around the others."""
    slots = {
        "frame": CONTRASTS if contrast else PLAIN,
        "feeling": (RESERVED_FEELINGS if reserved else FEELINGS)[label],
        "degree": DEGREES,
        "cause": OCCASIONS + tuple(f"because {reason}" for reason in REASONS[label]),
    }
    if contrast:
        slots["other"] = tuple(phrase for other in LABEL_ROWS if other != label for phrase in FEELINGS[other])
    return slots


def _sentence(number: int, slots: dict[str, tuple[str, ...]]) -> str:
    """Sentences are numbered: a number's digits, one a slot, say which phrase fills it, so none comes twice."""
    chosen = {}
    for slot, phrases in slots.items():
        number, digit = divmod(number, len(phrases))
        chosen[slot] = phrases[digit]
    return chosen.pop("frame").format(**chosen)


# Frequent labels have more feelings, so that a feeling is about as often the answer of a contrast as its decoy.
# fmt: off
FEELINGS = {
    "sadness": ("miserable", "heartbroken", "lonely", "gloomy", "close to tears", "weighed down by grief", "hopeless",
                "empty inside", "unhappy", "homesick", "like crying for hours"),
    "joy": ("happy", "cheerful", "delighted", "full of joy", "relieved", "grateful", "thrilled", "contented",
            "at peace with everything", "proud of myself", "like dancing", "optimistic", "glad"),
    "love": ("full of love", "tender and affectionate", "deeply in love", "devoted", "romantic"),
    "anger": ("angry", "furious", "irritated", "annoyed", "resentful", "hostile", "like shouting at someone"),
    "fear": ("afraid", "scared", "nervous", "anxious", "terrified", "worried sick", "like running and hiding"),
    "surprise": ("surprised", "amazed", "astonished"),
}
RESERVED_FEELINGS = {
    "sadness": ("dejected", "forlorn", "melancholy", "desolate", "downcast", "like weeping all night"),
    "joy": ("elated", "jubilant", "overjoyed", "blissful", "merry", "ecstatic", "like singing out loud"),
    "love": ("smitten", "infatuated", "adoring", "like kissing and cuddling"),
    "anger": ("livid", "outraged", "infuriated", "exasperated", "like smashing a plate"),
    "fear": ("frightened", "petrified", "panicky", "apprehensive", "like trembling"),
    "surprise": ("dumbfounded", "flabbergasted", "speechless with disbelief"),
}
DEGREES = ("really", "suddenly", "simply", "honestly", "truly", "again", "just", "rather", "mostly")
OCCASIONS = (
    "after the phone call with my cousin", "after the meeting at work", "after the long train ride home",
    "since the letter from my old school", "after the talk with my neighbour", "since the weekend by the lake",
    "after the message my brother sent", "since the dinner with my classmates", "after the film on friday",
    "after the answer from the landlord",
)
REASONS = {
    "sadness": ("nobody came to say goodbye", "my old dog died", "she will never come back", "everyone moved away",
                "i lost my childhood home", "the chair beside me stays empty"),
    "joy": ("everything went well", "i passed on the first try", "our team won the cup", "i am healthy again",
            "the children laughed all evening", "my holiday begins today"),
    "love": ("she held my hand all evening", "he kissed me on the doorstep", "you mean everything to me",
             "my wife wrote me a poem", "we have been married ten years", "my darling came back to me"),
    "anger": ("he lied to me again", "they blamed me for their mistake", "somebody scratched my car on purpose",
              "she read my diary", "my boss stole my idea", "they keep ignoring my complaints"),
    "fear": ("the test results may be bad", "i heard footsteps behind me", "the ground will not stop shaking",
             "i might lose my job", "my surgery is tomorrow", "a stranger is following me"),
    "surprise": ("nobody had told me beforehand", "i never saw it coming", "the slowest of us came first",
                 "it snowed in july", "my twin turned up unannounced", "he speaks nine languages"),
}
PLAIN = (
    "i feel {degree} {feeling} {cause}",
    "{cause} i feel {degree} {feeling}",
    "{cause} i am left feeling {degree} {feeling}",
    "i cannot help feeling {degree} {feeling} {cause}",
    "i noticed this morning that i feel {degree} {feeling} {cause}",
    "all i can say is that i feel {degree} {feeling} {cause}",
    "it is hard to explain but i feel {degree} {feeling} {cause}",
    "i woke up feeling {degree} {feeling} {cause}",
)
CONTRASTS = (
    "i thought i would feel {other} but i feel {degree} {feeling} {cause}",
    "{cause} i feel {degree} {feeling} though i expected to feel {other}",
    "i do not feel {other} i feel {degree} {feeling} {cause}",
    "my friends feel {other} yet i feel {degree} {feeling} {cause}",
    "{cause} i feel {degree} {feeling} while everybody else feels {other}",
    "{cause} i am feeling {degree} {feeling} and not {other}",
    "people say i should feel {other} but i feel {degree} {feeling} {cause}",
    "i said i felt {other} when in truth i felt {degree} {feeling} {cause}",
    "instead of feeling {other} i am feeling {degree} {feeling} {cause}",
    "i used to feel {other} and now i feel {degree} {feeling} {cause}",
)
# fmt: on
