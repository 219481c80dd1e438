import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import chain, pairwise, product
from math import prod
from pathlib import Path

import pytest

from benchmark.data import synthetic
from benchmark.data.load import load
from benchmark.data.synthetic import (
    FEELINGS,
    LABEL_ROWS,
    RESERVED_FEELINGS,
    best_possible_accuracy,
    generate,
    label_counts,
)
from benchmark.dataset_config import DatasetConfig, Synthetic
from benchmark.errors import BenchmarkError

REPOSITORY = Path(synthetic.__file__).parents[2]
LABELS = list(LABEL_ROWS)
POOLS = list(product(LABELS, (False, True), (False, True)))  # label, reserved for test, contrast
CONFIG = Synthetic(train=600, validation=150, test=300, flipped_share=0.05, seed=0)
UNFLIPPED = replace(CONFIG, flipped_share=0.0)
LARGE = Synthetic(train=5000, validation=1000, test=2000, flipped_share=0.05, seed=3)
# of the rows of CONFIG; it changes with the wording of the grammar
GOLDEN_SHA256 = "33c28b5863cbf516b2d11a073691ecd528192d2496fb1405aa26ce1b218a4472"


def digest(config: Synthetic) -> str:
    return sha256(repr(generate(config, LABELS)).encode()).hexdigest()


def words(text: str) -> str:
    return f" {text} "  # a phrase is searched for at word boundaries only


@pytest.mark.parametrize("config", [CONFIG, LARGE])
def test_splits_have_the_configured_sizes(config: Synthetic) -> None:
    sizes = {split: len(rows) for split, rows in generate(config, LABELS).items()}
    assert sizes == {"train": config.train, "validation": config.validation, "test": config.test}


@pytest.mark.parametrize("config", [CONFIG, LARGE])
def test_no_text_occurs_twice(config: Synthetic) -> None:
    texts = Counter(text for rows in generate(config, LABELS).values() for text, _ in rows)
    assert [text for text, count in texts.items() if count > 1] == []


def test_the_same_config_gives_the_same_rows_in_another_process_and_release() -> None:
    program = (
        "from hashlib import sha256; from benchmark.dataset_config import Synthetic;"
        "from benchmark.data.synthetic import generate;"
        f"print(sha256(repr(generate({CONFIG!r}, {LABELS!r})).encode()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert digest(CONFIG) == other.stdout.strip() == GOLDEN_SHA256


def test_neither_the_global_random_state_nor_the_order_of_labels_matters() -> None:
    before = random.getstate()
    assert generate(CONFIG, LABELS[::-1]) == generate(CONFIG, LABELS)
    assert random.getstate() == before


def test_16000_rows_have_the_official_label_counts() -> None:
    assert label_counts("train", 16_000) == LABEL_ROWS


def test_label_counts_are_rounded_by_largest_remainders() -> None:
    assert label_counts("train", 600) == {
        "sadness": 175, "joy": 201, "love": 49, "anger": 81, "fear": 73, "surprise": 21
    }  # fmt: skip


def test_every_label_has_a_row_however_small_the_split() -> None:
    for rows in range(6, 200):
        counts = label_counts("train", rows)
        assert sum(counts.values()) == rows
        assert min(counts.values()) >= 1


def test_rows_have_the_label_counts_before_flipping() -> None:
    for split, rows in generate(UNFLIPPED, LABELS).items():
        assert Counter(label for _, label in rows) == label_counts(split, len(rows))


@pytest.mark.parametrize("share", [0.05, 0.07, 0.5])
def test_exactly_the_configured_share_is_flipped(share: float) -> None:
    true = {text: label for rows in generate(UNFLIPPED, LABELS).values() for text, label in rows}
    for rows in generate(replace(CONFIG, flipped_share=share), LABELS).values():
        assert sum(label != true[text] for text, label in rows) == round(share * len(rows))


def test_flipped_rows_get_every_wrong_label() -> None:
    config = replace(LARGE, flipped_share=0.5)
    true = dict(generate(replace(config, flipped_share=0.0), LABELS)["train"])
    given = Counter((true[text], label) for text, label in generate(config, LABELS)["train"] if label != true[text])
    assert set(given) == {(right, wrong) for right, wrong in product(LABELS, LABELS) if right != wrong}
    from_joy = [given["joy", wrong] for wrong in LABELS if wrong != "joy"]
    assert max(from_joy) < 1.5 * min(from_joy)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.113])
def test_best_possible_accuracy_is_that_of_the_true_labels(share: float) -> None:
    config = replace(CONFIG, flipped_share=share)
    true = dict(generate(UNFLIPPED, LABELS)["test"])
    right = sum(label == true[text] for text, label in generate(config, LABELS)["test"])
    assert best_possible_accuracy(config) == pytest.approx(right / config.test, abs=1e-12)


@pytest.mark.parametrize(("test_rows", "stated"), [(None, True), (CONFIG.test, True), (CONFIG.test - 1, False)])
def test_the_best_possible_accuracy_is_noted_for_the_whole_test_split_only(test_rows: int | None, stated: bool) -> None:
    notes = load(DatasetConfig("synthetic", LABELS, synthetic=CONFIG, test_rows=test_rows)).report.notes
    assert notes[0] == "5% of the labels are wrong on purpose."
    assert ("The best possible accuracy is 0.9500." in notes) is stated


def test_a_share_for_a_validation_split_that_exists_is_noted() -> None:
    notes = load(DatasetConfig("synthetic", LABELS, synthetic=CONFIG, validation_share=0.2)).report.notes
    assert "dataset.validation_share has no effect, because there is a validation split." in notes


def test_wrong_labels_are_noted_for_the_data_set_that_has_them() -> None:
    clean = DatasetConfig("clean", LABELS, synthetic=replace(CONFIG, flipped_share=0.0, seed=CONFIG.seed + 1, test=31))
    flipped = DatasetConfig("flipped", LABELS, synthetic=CONFIG)
    assert "5% of the labels are wrong on purpose." in load(replace(flipped, test=clean)).report.notes
    assert "flipped: 5% of the labels are wrong on purpose." in load(replace(clean, test=flipped)).report.notes


def test_rows_are_shuffled() -> None:
    for rows in generate(UNFLIPPED, LABELS).values():
        changes = sum(ours != theirs for (_, ours), (_, theirs) in pairwise(rows))
        assert changes > len(rows) / 2


def test_a_third_of_test_feelings_is_unseen_in_the_other_splits() -> None:
    splits = generate(UNFLIPPED, LABELS)
    reserved = [words(phrase) for phrases in RESERVED_FEELINGS.values() for phrase in phrases]
    unseen = {split: sum(any(p in words(text) for p in reserved) for text, _ in rows) for split, rows in splits.items()}
    assert unseen["train"] == unseen["validation"] == 0
    assert unseen["test"] == pytest.approx(len(splits["test"]) / 3, abs=len(LABELS))


def test_every_reserved_feeling_has_a_word_that_no_other_phrase_has() -> None:
    tables = (synthetic.PLAIN, synthetic.CONTRASTS, synthetic.OCCASIONS, synthetic.DEGREES)
    phrases = [*chain(*tables), *chain(*FEELINGS.values()), *chain(*synthetic.REASONS.values())]
    seen = {word for phrase in phrases for word in phrase.split()}
    known = [phrase for phrase in chain(*RESERVED_FEELINGS.values()) if set(phrase.split()) <= seen]
    assert known == []


def test_no_feeling_belongs_to_two_labels_or_is_part_of_another() -> None:
    phrases = [phrase for table in (FEELINGS, RESERVED_FEELINGS) for part in table.values() for phrase in part]
    assert [(a, b) for a, b in product(phrases, phrases) if a is not b and words(a) in words(b)] == []


def test_contrasts_name_a_feeling_of_another_label() -> None:
    label_of = {words(phrase): label for label, phrases in FEELINGS.items() for phrase in phrases}
    rows = generate(UNFLIPPED, LABELS)["train"]
    named = [(label, {label_of[phrase] for phrase in label_of if phrase in words(text)}) for text, label in rows]
    assert all(label in labels for label, labels in named)
    assert sum(len(labels) == 2 for _, labels in named) == pytest.approx(synthetic.CONTRAST_SHARE * len(rows), abs=6)


def test_a_pool_gives_all_its_sentences_and_no_more() -> None:
    rows = prod(map(len, synthetic._slots("surprise", True, False).values()))
    assert len(set(synthetic._draw("surprise", True, False, rows, random.Random(0)))) == rows
    with pytest.raises(BenchmarkError) as caught:
        synthetic._draw("surprise", True, False, rows + 1, random.Random(0))
    assert f"{rows + 1} plain surprise sentences reserved for test" in caught.value.problem
    assert str(rows) in caught.value.problem
    assert "dataset.synthetic.test." in str(caught.value.fix)


@pytest.mark.parametrize(
    ("changes", "labels", "problem", "fix"),
    [
        ({}, ["joy", "disgust"], r"sadness, joy, .* not joy, disgust", "dataset.labels"),
        ({"validation": 5}, LABELS, r"dataset\.synthetic\.validation is 5", "6 or more"),
        ({"train": 10_000_000}, LABELS, r"\d+ plain sadness sentences, .* only 12672", "dataset.synthetic.train,"),
    ],
)
def test_an_impossible_configuration_is_refused(
    changes: dict[str, int], labels: list[str], problem: str, fix: str
) -> None:
    with pytest.raises(BenchmarkError, match=problem) as caught:
        generate(replace(CONFIG, **changes), labels)
    assert fix in str(caught.value.fix)
