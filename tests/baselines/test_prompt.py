"""The decoder's prompts are those of the study, and constrained decoding branches where labels differ."""

import pytest
from transformers import PreTrainedTokenizerFast

from baselines.decoder.label_scores import branches
from baselines.decoder.prompt import Prompter
from baselines.weights.tokenizer import train_tokenizer
from benchmark.configuration.compose import compose
from benchmark.errors import BenchmarkError

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
LLAMA3 = compose(["model=llama3_lora"]).model.parameters
UI2024 = compose(["model=llama3_lora_ui2024"]).model.parameters


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(LLAMA3["architecture"], [LLAMA3["instruction"], *LABELS, "i feel fine today"] * 20)


def prompter(tokenizer: PreTrainedTokenizerFast, template: str | None, max_length: int = 512) -> Prompter:
    return Prompter(tokenizer, template, LLAMA3["instruction"], LABELS, max_length)


def test_the_llama3_prompt_is_the_published_reconstruction(tokenizer: PreTrainedTokenizerFast) -> None:
    rendered = prompter(tokenizer, LLAMA3["chat_template"]).render("i feel fine", "joy")
    assert rendered == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"
        "Do emotion classification for data in the following text.\ni feel fine<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\njoy<|eot_id|>"
    )


STUDY = "Do emotion classification for data in the following text."


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["dataset=emotion"], STUDY),
        (["dataset=synthetic"], STUDY),
        (
            ["dataset.instruction=null", "dataset.labels=[bad,good]"],
            "Classify the following text as one of: bad, good.",
        ),
        (
            ["dataset.instruction=null", "dataset.labels=[bad,good]", "dataset.label_words={good: great}"],
            "Classify the following text as one of: bad, great.",
        ),
        (["dataset.instruction=Is this review good?"], "Is this review good?"),
        (["dataset.instruction=Which?", "model.instruction=Which one?"], "Which one?"),
    ],
)
def test_the_instruction_is_that_of_the_data_set(overrides: list[str], expected: str) -> None:
    assert compose(["model=llama3_lora", *overrides]).model.parameters["instruction"] == expected


def test_the_2024_page_prompt_is_human_and_assistant(tokenizer: PreTrainedTokenizerFast) -> None:
    rendered = prompter(tokenizer, UI2024["chat_template"]).render("i feel fine")
    assert rendered == (
        "<|begin_of_text|>Human: Do emotion classification for data in the following text.\ni feel fine\nAssistant: "
    )


def test_prompt_and_answer_are_the_tokens_of_the_whole_conversation(tokenizer: PreTrainedTokenizerFast) -> None:
    of_llama3 = prompter(tokenizer, LLAMA3["chat_template"])
    (prompt,), _ = of_llama3.prompts(["i feel fine"])
    whole = tokenizer(of_llama3.render("i feel fine", "fear"), add_special_tokens=False).input_ids
    assert prompt + of_llama3.answers[LABELS.index("fear")] == whole


def test_an_answer_ends_with_the_token_that_the_template_writes_after_it(tokenizer: PreTrainedTokenizerFast) -> None:
    assert prompter(tokenizer, LLAMA3["chat_template"]).end == tokenizer.convert_tokens_to_ids("<|eot_id|>")
    assert prompter(tokenizer, UI2024["chat_template"]).end == tokenizer.eos_token_id


def test_a_long_text_is_cut_until_prompt_and_answer_fit(tokenizer: PreTrainedTokenizerFast) -> None:
    limited = prompter(tokenizer, LLAMA3["chat_template"], max_length=40)
    (prompt, short), truncated = limited.prompts(["fine " * 500, "i feel fine"])
    longest = max(map(len, limited.answers))
    assert truncated == 1
    assert len(prompt) + longest <= 40
    assert tokenizer.decode(prompt).endswith("assistant<|end_header_id|>\n\n")
    assert short == prompter(tokenizer, LLAMA3["chat_template"]).prompts(["i feel fine"])[0][0]


def test_a_max_length_below_the_prompt_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(BenchmarkError, match="max_length"):
        prompter(tokenizer, LLAMA3["chat_template"], max_length=8).prompts(["i feel fine"])


def test_a_max_length_that_leaves_no_room_for_texts_is_refused_with_one_that_does(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    without_text = len(prompter(tokenizer, LLAMA3["chat_template"]).prompts([""])[0][0])
    longest = max(map(len, prompter(tokenizer, LLAMA3["chat_template"]).answers))
    limited = prompter(tokenizer, LLAMA3["chat_template"], max_length=without_text + longest)
    limited.prompts([""])
    with pytest.raises(BenchmarkError) as refusal:
        limited.prompts(["i feel fine"])
    assert refusal.value.fix.startswith(f"Set recipe.max_length={without_text + longest + 64} or more")


def test_a_tokenizer_without_a_chat_template_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(BenchmarkError, match="chat_template"):
        prompter(tokenizer, None)


def test_of_several_chat_templates_the_default_is_taken(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"default": LLAMA3["chat_template"], "tool_use": "{{ tools }}"}
    monkeypatch.setattr(tokenizer, "chat_template", named)
    expected = prompter(tokenizer, LLAMA3["chat_template"]).render("i feel fine")
    assert prompter(tokenizer, None).render("i feel fine") == expected
    del named["default"]
    with pytest.raises(BenchmarkError, match="has no chat template"):
        prompter(tokenizer, None)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([[7, 8, 0], [7, 9, 0], [5, 0]], {(): {7: [0, 1], 5: [2]}, (7,): {8: [0], 9: [1]}}),
        ([[7, 0], [7, 8, 0]], {(7,): {0: [0], 8: [1]}}),  # one label is the beginning of the other
        ([[7, 8, 0]], {}),
    ],
)
def test_answers_branch_where_more_than_one_token_is_possible(
    answers: list[list[int]], expected: dict[tuple[int, ...], dict[int, list[int]]]
) -> None:
    assert branches(answers) == expected


@pytest.mark.parametrize("labels", [("n", "p"), ("e", "n", "c"), ("end", "of")])
def test_a_label_that_occurs_in_the_end_tag_does_not_change_the_end(
    labels: tuple[str, ...], tokenizer: PreTrainedTokenizerFast
) -> None:
    prompter_of_labels = Prompter(tokenizer, LLAMA3["chat_template"], "n or p?", labels, 512)
    assert prompter_of_labels.end == tokenizer.convert_tokens_to_ids("<|eot_id|>")


DATED = (
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{{ date_string }}"
)


def test_prompts_do_not_contain_todays_date(tokenizer: PreTrainedTokenizerFast) -> None:
    assert prompter(tokenizer, DATED + LLAMA3["chat_template"]).render("text").startswith("26 Jul 2024<|begin")
    with pytest.raises(BenchmarkError, match="date"):
        prompter(tokenizer, "{{ strftime_now('%Y') }}" + LLAMA3["chat_template"])


TURNS = "{% for turn in messages %}{{ turn.role + ': ' + turn.content }}"


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (" {{ eos_token }}", "<|eot_id|>"),  # Llama 2's
        ("\n<|end_header_id|>\n", "<|end_header_id|>"),  # a special token that is not the tokenizer's end
        ("<|end_header_id|>{{ eos_token }}", "<|end_header_id|>"),
        ("\n", "<|eot_id|>"),
        ("", "<|eot_id|>"),
    ],
)
def test_space_after_an_answer_is_not_its_end(after: str, end: str, tokenizer: PreTrainedTokenizerFast) -> None:
    of_template = prompter(tokenizer, TURNS + after + "{% endfor %}")
    expected = tokenizer.convert_tokens_to_ids(end)
    assert of_template.end == expected
    assert {answer[-1] for answer in of_template.answers} == {expected}
    assert set(of_template.ends) == {expected, tokenizer.eos_token_id}


def test_an_end_that_is_no_special_token_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    """Its first token would be taken for the end."""
    with pytest.raises(BenchmarkError, match="<end_of_turn>"):
        prompter(tokenizer, TURNS + "<end_of_turn>{% endfor %}")
