"""Prompts and answers as token ids, rendered through a chat template."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from baselines.compute.bars import chunks
from benchmark.errors import BenchmarkError

DATE = "26 Jul 2024"
"""The date in templates that contain one, as Llama 3.1's does, so that prompts do not change from day to day."""
ROOM = 64
"""Tokens of a text for which a prompt should have room; fewer cut most texts."""
MARK = "~ the answer ~"  # does not occur in templates
PLACEHOLDER = re.compile(r"\{(\w+)\}")
WITH_TEXT = {"instruction", "labels", "text"}
PLACEHOLDERS = {
    "system": {"instruction", "labels"},
    "user": {*WITH_TEXT, "examples"},
    "example": {*WITH_TEXT, "label"},
}
"""What may stand in the parts of a prompt."""


@dataclass(frozen=True)
class Prompt:
    """A way to ask a decoder for the label of a text; the default is the study's prompt.

    In its parts, {instruction}, {labels}, {text} and {label} stand for what their names say. Examples are earlier
    turns of the conversation. With `example`, they are written in this form inside the user's turn, in place of
    {examples}.
    """

    name: str = "study"
    user: str = "{instruction}\n{text}"
    system: str | None = None
    example: str | None = None

    def __post_init__(self) -> None:
        required = {"user": {"text"} | ({"examples"} if self.example else set()), "example": {"text", "label"}}
        for part, possible in PLACEHOLDERS.items():
            if not (template := getattr(self, part)):
                continue
            allowed = possible if self.example else possible - {"examples"}
            present, needed = set(PLACEHOLDER.findall(template)), required.get(part, set())
            if not needed <= present <= allowed:
                raise BenchmarkError(
                    f"model.prompt.{part} of the prompt {self.name} has the placeholders {_in_braces(present)}.",
                    f"It needs {_in_braces(needed)}, and {_in_braces(allowed)} are possible.",
                )


class Prompter:
    """Renders texts as prompts; `answers[label id]` are the token ids of an answer, and `end` is their last.

    `examples` are texts with their label ids, shown in every prompt.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: str | None,
        instruction: str,
        labels: Sequence[str],
        max_length: int,
        *,
        prompt: Prompt | None = None,
        examples: Sequence[tuple[str, int]] = (),
    ) -> None:
        template = chat_template or tokenizer.chat_template
        if isinstance(template, dict):  # several by name, of which transformers takes this one
            template = template.get("default")
        if template is None:
            raise BenchmarkError("The tokenizer has no chat template.", "Set model.chat_template.")
        self.tokenizer = tokenizer
        self.chat_template: str = template
        self.instruction = instruction
        self.labels = tuple(labels)
        self.prompt = prompt or Prompt()
        self.examples = tuple(examples)
        if "strftime_now" in self.chat_template and "date_string" not in self.chat_template:
            raise BenchmarkError("The chat template contains today's date.", "Set model.chat_template to one without.")
        self._check_turns()
        self.end = self._end_token()
        self.answers = [[*self._ids(label), self.end] for label in labels]
        self.limit = max_length - max(map(len, self.answers))

    def prompts(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The prompt of each text as token ids, and the number of texts that were cut so that prompt and answer fit."""
        prompts = [self._ids(self.render(text)) for chunk in chunks(texts, "tokenising") for text in chunk]
        truncated = 0
        for row, ids in enumerate(prompts):
            if len(ids) > self.limit:
                prompts[row] = self._shorten(texts[row], len(ids) - self.limit)
                truncated += 1
        return prompts, truncated

    def render(self, text: str, answer: str | None = None) -> str:
        """The conversation as one string, with `answer` or up to where the answer begins."""
        turns = self._turns(text)
        if answer is not None:
            turns.append({"role": "assistant", "content": answer})
        rendered = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=answer is None, chat_template=self.chat_template,
            date_string=DATE,
        )  # fmt: skip
        assert isinstance(rendered, str)
        return rendered

    def _turns(self, text: str) -> list[dict[str, str]]:
        """The turns up to the question for the label of `text`."""
        prompt, inside = self.prompt, ""
        turns = [("system", self._fill(prompt.system))] if prompt.system else []
        for shown, label in self.examples:
            if prompt.example:
                inside += self._fill(prompt.example, text=shown, label=self.labels[label])
            else:
                turns += [("user", self._fill(prompt.user, text=shown)), ("assistant", self.labels[label])]
        turns.append(("user", self._fill(prompt.user, text=text, examples=inside)))
        return [{"role": role, "content": content} for role, content in turns]

    def _fill(self, template: str, **values: str) -> str:
        values |= {"instruction": self.instruction, "labels": ", ".join(self.labels)}
        return PLACEHOLDER.sub(lambda match: values[match[1]], template)

    def _check_turns(self) -> None:
        """Raise if the chat template refuses a turn of the prompt, or leaves it out."""
        problem = None
        try:
            rendered = self.render(MARK)
        except TemplateError as error:
            problem = f"refuses the turns of model.prompt={self.prompt.name} ({error})"
        else:
            if missing := [turn["role"] for turn in self._turns(MARK) if turn["content"].strip() not in rendered]:
                problem = f"leaves out a {missing[0]} turn of model.prompt={self.prompt.name}"
        if problem:
            raise BenchmarkError(
                f"The chat template {problem}.",
                "Choose a prompt without a system turn, such as model.prompt=study, or set model.chat_template.",
            )

    def _shorten(self, text: str, excess: int) -> list[int]:
        text_ids = self._ids(text)
        while excess > 0 and text_ids:  # decoding and encoding again may add a token
            text_ids = text_ids[:-excess]
            ids = self._ids(self.render(self.tokenizer.decode(text_ids)))
            excess = len(ids) - self.limit
        if excess > 0 or (text.strip() and not text_ids):
            answer, used = max(map(len, self.answers)), len(self._ids(self.render("")))
            room = max([ROOM, *(len(self._ids(shown)) for shown, _ in self.examples)])
            shown = f", with {len(self.examples)} examples," if self.examples else ""
            fewer = ", or show fewer examples" if self.examples else ""
            raise BenchmarkError(
                f"recipe.max_length is {self.limit + answer}, but the prompt without the text{shown} has {used} tokens "
                f"and an answer {answer}.",
                f"Set recipe.max_length={used + answer + room} or more, or shorten dataset.instruction{fewer}.",
            )
        return ids

    def _end_token(self) -> int:
        """The token that ends an answer: the first special token that the template writes after it.

        Space before it is no end, as in Llama 2's template. Where only space follows, the end is the tokenizer's.
        """
        after = self.render("", MARK).rpartition(MARK)[2]
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        if ends := [token for token in self._ids(after) if token in special]:
            return ends[0]
        if after.strip():
            raise BenchmarkError(
                f"The chat template writes {after!r} after an answer, and the tokenizer has no such special token.",
                "Set model.chat_template to one that ends an answer with such a token.",
            )
        if self.tokenizer.eos_token_id is None:
            raise BenchmarkError(
                "Neither the chat template nor the tokenizer has a token that ends an answer.",
                "Set model.chat_template to one that writes such a token after the answer.",
            )
        return int(self.tokenizer.eos_token_id)

    @property
    def ends(self) -> list[int]:
        """The tokens at which free generation stops: the template's end and the tokenizer's."""
        return sorted({self.end, self.tokenizer.eos_token_id} - {None})

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids


def _in_braces(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
