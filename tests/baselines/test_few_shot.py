"""Decoders that are not trained: examples in the prompt, scores of whole labels, and calibration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import LABELS
from networks import save_model
from scipy.special import log_softmax, softmax
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from baselines.decoder.few_shot import draw_examples
from baselines.decoder.label_scores import scored_tokens
from baselines.decoder.prompt import Prompt, Prompter
from baselines.packed.passes import last_tokens
from baselines.packed.stream import pack
from baselines.weights.tokenizer import train_tokenizer
from benchmark.config import CONF_DIR, RunConfig, digest_of
from benchmark.configuration.compose import build_classifier, compose
from benchmark.configuration.published import spec_of
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, FitContext, Prompting

Compose = Callable[..., RunConfig]
PROMPTS = sorted(path.stem for path in (CONF_DIR / "prompt").glob("*.yaml"))
LLAMA3 = compose(["model=llama3_lora"]).model.parameters
TRAIN = Examples(tuple(f"train-{row}" for row in range(30)), ("a text",) * 30, np.arange(30) % 3)


# Examples


@pytest.mark.parametrize(("shots", "counts"), [(0, [0, 0, 0]), (6, [2, 2, 2]), (8, [2, 3, 3]), (12, [4, 4, 4])])
def test_examples_are_spread_evenly_over_the_labels(shots: int, counts: list[int]) -> None:
    rows = draw_examples(TRAIN, ("a", "b", "c"), shots, seed=0)
    assert sorted(np.bincount(TRAIN.labels[rows], minlength=3)) == counts
    assert len(set(rows)) == shots


def test_a_seed_draws_the_same_rows_on_every_machine() -> None:
    assert draw_examples(TRAIN, ("a", "b", "c"), 6, seed=0) == DRAWN
    assert draw_examples(TRAIN, ("a", "b", "c"), 6, seed=1) != DRAWN
    assert set(DRAWN) < set(draw_examples(TRAIN, ("a", "b", "c"), 12, seed=0))


DRAWN = [15, 11, 13, 16, 6, 20]


def test_more_examples_than_rows_of_a_label_are_refused() -> None:
    few = Examples(TRAIN.ids[:7], TRAIN.texts[:7], TRAIN.labels[:7])
    with pytest.raises(BenchmarkError, match="label b, but there are 2") as refusal:
        draw_examples(few, ("a", "b", "c"), 9, seed=0)
    assert refusal.value.fix == "Set model.shots to at most 6."
    assert len(draw_examples(few, ("a", "b", "c"), 6, seed=0)) == 6


# Options


@pytest.mark.parametrize(
    ("overrides", "option", "remedy"),
    [
        (["model.shots=6"], "model.train", ["model.train=false"]),
        (["model.train=false", "model.shots=-1"], "model.shots", ["model.shots=0"]),
        (["model.train=false", "model.shots=6", "model.adapter=a"], "model.adapter", ["model.adapter=null"]),
        (["model.train=false", "model.shots=6", "model.readout=head"], "model.readout", ["model.readout=labels"]),
        (["model.calibrate=true"], "model.calibrate", ["model.train=false", "model.shots=0"]),
        (["model.score=mean"], "model.score", ["model.train=false", "model.shots=0"]),
        (
            ["model.train=false", "model.shots=0", "model.readout=generate", "model.score=mean"],
            "model.score",
            ["model.readout=labels"],
        ),
    ],
)
def test_options_that_exclude_each_other_are_refused(overrides: list[str], option: str, remedy: list[str]) -> None:
    with pytest.raises(BenchmarkError) as refusal:
        build_classifier(compose(["model=smollm2_lora", *overrides]).model)
    assert option in refusal.value.problem
    assert all(part.partition("=")[0] in str(refusal.value) for part in remedy)
    build_classifier(compose(["model=smollm2_lora", *overrides, *remedy]).model)


@pytest.mark.parametrize("override", ["model.shots=6", "model.prompt=list"])
def test_an_encoder_has_no_examples_and_no_prompt(override: str) -> None:
    with pytest.raises(BenchmarkError) as refusal:
        build_classifier(compose(["model=minilm", override]).model)
    assert override.partition("=")[0] in refusal.value.problem
    assert "Leave it out" in refusal.value.fix


def test_the_study_prompt_is_the_default() -> None:
    digests = [
        digest_of(spec_of(compose(["model=smollm2_lora", *overrides])).as_json(), {})
        for overrides in ([], ["model.prompt=study"], ["model.prompt=null"], ["model.prompt=list"])
    ]
    assert digests[0] == digests[1] == digests[2] != digests[3]


@pytest.mark.parametrize(
    ("model", "asked", "trained"),
    [
        ("smollm2_lora", "SmolLM2-135M", "SmolLM2-135M LoRA"),
        ("llama3_lora_ui2024", "Llama 3 8B base", "Llama 3 8B base LoRA on q, v"),
    ],
)
def test_the_title_names_lora_only_where_there_is_one(model: str, asked: str, trained: str) -> None:
    assert compose([f"model={model}", "model.train=false", "model.shots=0"]).model.title == asked
    assert compose([f"model={model}"]).model.title == trained


# Prompts


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(LLAMA3["architecture"], [LLAMA3["instruction"], *LABELS, "i feel fine today"] * 20)


def prompter(
    tokenizer: PreTrainedTokenizerFast, prompt: Prompt, max_length: int = 512, template: str | None = None
) -> Prompter:
    examples = [("i feel low", 0), ("i feel {label}", 1)]
    instruction = LLAMA3["instruction"]
    return Prompter(
        tokenizer,
        template or LLAMA3["chat_template"],
        instruction,
        LABELS,
        max_length,
        prompt=prompt,
        examples=examples,
    )


def shipped_prompt(name: str) -> Prompt:
    return Prompt(**compose(["model=llama3_lora", f"model.prompt={name}"]).model.parameters["prompt"])


def test_examples_of_the_study_prompt_are_earlier_turns(tokenizer: PreTrainedTokenizerFast) -> None:
    turn = (
        "<|start_header_id|>user<|end_header_id|>\n\nDo emotion classification for data in the following text.\n"
        "{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    expected = ["<|begin_of_text|>", turn.format("i feel low"), "sadness<|eot_id|>", turn.format("i feel {label}"),
                "joy<|eot_id|>", turn.format("i feel fine")]  # fmt: skip
    assert prompter(tokenizer, Prompt()).render("i feel fine") == "".join(expected)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_shipped_prompt_shows_examples_with_labels_and_then_the_text(
    name: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert shipped_prompt(name).name == name
    rendered = prompter(tokenizer, shipped_prompt(name)).render("i feel fine {text}")
    assert LLAMA3["instruction"] in rendered or name == "question"
    places = [rendered.rindex(part) for part in ("i feel low", "i feel {label}", "i feel fine {text}")]
    assert places == sorted(places)
    assert "sadness" in rendered[places[0] : places[1]]
    assert "joy" in rendered[places[1] : places[2]]


@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("user", {"user": "{instruction}"}),
        ("user", {"user": "{text} {examples}"}),
        ("user", {"user": "{text}", "example": "{text} {label}"}),
        ("example", {"user": "{examples}{text}", "example": "{text}"}),
        ("system", {"system": "{text}"}),
    ],
)
def test_a_prompt_with_missing_or_unknown_placeholders_is_refused(part: str, options: dict[str, str]) -> None:
    with pytest.raises(BenchmarkError, match=f"model.prompt.{part} "):
        Prompt(name="mine", **options)


@pytest.mark.parametrize(
    "start",
    ["{{ raise_exception('no system turn') }}", "{% set messages = messages[1:] %}"],
    ids=["refused", "left out"],
)
def test_a_template_without_system_turns_is_refused(start: str, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(BenchmarkError, match="model.prompt=system"):
        prompter(tokenizer, shipped_prompt("system"), template=start + LLAMA3["chat_template"])


def test_examples_that_do_not_fit_are_refused_and_never_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(BenchmarkError, match="2 examples") as refusal:
        prompter(tokenizer, Prompt(), max_length=60).prompts(["i feel fine"])
    needed = int(refusal.value.fix.partition("=")[2].split()[0])
    _, cut = prompter(tokenizer, Prompt(), max_length=needed).prompts(["i feel fine"])
    assert cut == 0
    (shortened,), cut = prompter(tokenizer, Prompt(), max_length=needed).prompts(["fine " * 99])
    assert cut == 1
    assert all(shown in tokenizer.decode(shortened) for shown in ("i feel low", "i feel {label}"))


# Scores


@pytest.mark.parametrize(
    ("answers", "scored"),
    [
        ([[7, 8, 0], [7, 9, 0], [5, 0]], [[7, 8], [7, 9], [5]]),
        ([[7, 0], [7, 8, 0]], [[7, 0], [7, 8, 0]]),  # without its end, the first would win always
    ],
)
def test_the_end_of_a_label_counts_only_where_another_label_goes_on(
    answers: list[list[int]], scored: list[list[int]]
) -> None:
    assert scored_tokens(answers) == scored


WORDS = "{sadness: i feel low, joy: i feel, love: feel, anger: i am angry, fear: i, surprise: angry}"
"""Labels of one and several tokens; some are the beginning of others."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def composer(*overrides: str) -> RunConfig:
        return compose(["dataset=synthetic", "dataset.synthetic={train:60,validation:12,test:24}", *overrides])

    return save_model(composer, tmp_path_factory.mktemp("few_shot") / "model", "tiny_llama")


@pytest.mark.parametrize(
    ("score", "words", "options"),
    [
        ("sum", WORDS, ["model.shots=0"]),
        ("mean", WORDS, ["model.shots=6"]),
        ("sum", "null", ["model.shots=6", "model.calibrate=true"]),
        ("mean", WORDS, ["model.shots=6", "model.calibrate=true"]),
    ],
)
def test_packed_and_padded_scores_equal_a_plain_computation(
    score: str, words: str, options: list[str], folder: Path, compose_run: Compose
) -> None:
    source = ["model.weights.source=folder", f"model.weights.path={folder}", "recipe.max_length=1024"]
    given = ["model=tiny_llama", "model.train=false", f"model.score={score}", f"dataset.label_words={words}", *options]
    found = {}
    for batching in ("packed", "padded"):
        config = compose_run(*source, *given, f"model.batching={batching}", "model.prompt=list")
        classifier, splits = build_classifier(config.model), data.load(config.dataset)
        context = FitContext(LABELS, config.recipe, 0, folder.parent, label_words=config.dataset.words)
        report = classifier.fit(splits.train, splits.validation, context)
        found[batching] = classifier.predict(splits.test.texts[:8])
    prompts, _ = classifier.prompter.prompts(splits.test.texts)
    layout = pack(prompts, last_tokens(prompts), causal=True, varlen=False).layout
    assert classifier.tokenizer.decode(prompts[0][: layout.prefix]).count("Label: ") == len(report.examples)
    expected, other = plainly(classifier, folder, splits.test.texts[:8], score)
    for predictions in found.values():
        np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-5)
        np.testing.assert_allclose(
            np.log(predictions.probabilities), np.log(expected), atol=1e-4
        )  # also of rare labels
        ((name, also),) = predictions.other_scores.items()
        assert name == {"sum": "mean", "mean": "sum"}[score]
        assert (also == other.argmax(axis=1)).all()
    rows = [splits.train.ids.index(one) for one in report.examples]
    shots = int(options[0].partition("=")[2])
    assert np.bincount(splits.train.labels[rows], minlength=6).tolist() == [shots // 6] * 6
    assert classifier.describe().prompting == Prompting(shots, "list", score, len(options) > 1)
    assert report.trained_parameters == 0


def plainly(classifier: Any, folder: Path, texts: tuple[str, ...], score: str) -> tuple[Any, Any]:
    """(texts, labels) by this score and by the other one: each label read by itself after each prompt."""
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    words = scored_tokens(classifier.prompter.answers)

    @torch.inference_mode()
    def sums(asked: tuple[str, ...]) -> Any:
        rows = []
        for prompt in classifier.prompter.prompts(asked)[0]:
            row = []
            for word in words:
                logits = network(torch.tensor([prompt + word])).logits[0, len(prompt) - 1 : -1].double().numpy()
                row.append(log_softmax(logits, axis=-1)[range(len(word)), word].sum())
            rows.append(row)
        return np.array(rows)

    lengths = {"sum": np.ones(6), "mean": np.array([len(word) for word in words])}
    both = []
    for way in (score, {"sum": "mean", "mean": "sum"}[score]):
        probabilities = softmax(sums(texts) / lengths[way], axis=1)
        if classifier.calibrate:
            probabilities = probabilities / softmax(sums(("N/A", "[MASK]", "")) / lengths[way], axis=1).mean(axis=0)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        both.append(probabilities)
    return both[0], both[1]


def test_free_generation_sees_the_examples_too(folder: Path, compose_run: Compose) -> None:
    config = compose_run(
        "model=tiny_llama", "model.weights.source=folder", f"model.weights.path={folder}", "model.train=false",
        "model.shots=6", "model.readout=generate", "model.max_new_tokens=20", "recipe.max_length=1024",
    )  # fmt: skip
    classifier, splits = build_classifier(config.model), data.load(config.dataset)
    classifier.fit(splits.train, splits.validation, FitContext(LABELS, config.recipe, 0, folder.parent))
    predictions = classifier.predict(splits.test.texts[:4])
    assert predictions.generated is not None
    assert classifier.describe().prompting == Prompting(6, "study", "free generation")
