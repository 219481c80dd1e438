"""Test texts are changed by rules that depend on the text alone."""

import pytest
from factories import examples

from benchmark.configuration.compose import compose
from benchmark.data.load import load
from benchmark.data.perturb import RULES, perturb_texts
from benchmark.dataset_config import Perturbation
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples


@pytest.mark.parametrize(
    ("how", "text", "expected"),
    [
        ("uppercase", "i feel good ß", "I FEEL GOOD SS"),
        ("lowercase", "I Feel GOOD", "i feel good"),
        ("no_feel", "i feel so good and i felt it", "i so good and i it"),
        ("no_feel", "Feelings come and go", "come and go"),
        ("no_feel", "a feeler is felted", "a feeler is felted"),
        ("no_feel", "feeling", "feeling"),
        ("negation", "i am happy and i feel loved", "i am not happy and i feel loved"),
        ("negation", "I FELT it", "I FELT not it"),
        ("negation", "they go", "they go"),
    ],
)
def test_a_rule_changes_a_text(how: str, text: str, expected: str) -> None:
    assert RULES[Perturbation(how)](text) == expected


def test_a_tenth_of_the_longer_words_is_misspelt() -> None:
    words = [f"word{'abcdefghij'[number % 10]}{'klmno'[number // 10]}" for number in range(50)]
    text = " ".join(["an", *words, "or it"])
    changed = RULES[Perturbation.typos](text)
    differing = [(old, new) for old, new in zip(text.split(), changed.split(), strict=True) if old != new]
    assert len(differing) == 5
    for old, new in differing:
        assert new[0] == old[0]
        assert abs(len(new) - len(old)) <= 1
        assert set(new) <= set(old)
    assert changed == RULES[Perturbation.typos](text)


def test_typos_are_the_same_in_every_version() -> None:
    texts = ["i feel wonderful today", "nothing happened", "they were dancing together"]
    expected = ["i fele wonderful today", "noting happened", "they weere dancing together"]
    assert [RULES[Perturbation.typos](text) for text in texts] == expected


def test_a_typo_that_swaps_two_equal_letters_changes_nothing() -> None:
    texts = [f"{'x' * length}oooo" for length in range(1, 9)]
    assert any(RULES[Perturbation.typos](text) == text for text in texts)


def test_texts_without_a_longer_word_have_no_typo() -> None:
    assert RULES[Perturbation.typos]("i am so sad 12345 !") == "i am so sad 12345 !"


def test_a_perturbation_that_changes_nothing_is_refused() -> None:
    with pytest.raises(BenchmarkError) as error:
        perturb_texts(examples([0, 1]), Perturbation.lowercase)
    assert "dataset.perturb=lowercase" in error.value.problem


def test_only_the_texts_of_the_test_split_change_and_the_pinned_hash_is_that_of_the_original() -> None:
    plain, changed = (
        load(compose(["dataset=synthetic", *more]).dataset) for more in ([], ["dataset.perturb=uppercase"])
    )
    assert changed.test.texts == tuple(text.upper() for text in plain.test.texts)
    assert (changed.test.ids, changed.test.labels.tolist()) == (plain.test.ids, plain.test.labels.tolist())
    assert (changed.train.texts, changed.validation.texts) == (plain.train.texts, plain.validation.texts)
    assert (plain.report.perturbed_rows, changed.report.perturbed_rows) == (0, len(plain.test))
    assert (plain.report.unperturbed_sha256, changed.report.unperturbed_sha256) == (None, plain.report.hashes()["test"])
    assert changed.report.hashes()["test"] != plain.report.hashes()["test"]


def test_the_change_of_a_text_does_not_depend_on_the_other_rows() -> None:
    texts = ("something rather wonderful happened", "another sentence entirely")
    both, _ = perturb_texts(Examples(("test-0", "test-1"), texts, examples([0, 1]).labels), Perturbation.typos)
    alone, _ = perturb_texts(Examples(("test-1",), texts[1:], examples([1]).labels), Perturbation.typos)
    assert both.texts[1:] == alone.texts
