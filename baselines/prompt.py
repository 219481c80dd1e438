"""Prompts and answers as token ids, rendered through a chat template."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from baselines.training.bars import parts
from benchmark.errors import BenchmarkError

DATE = "26 Jul 2024"
"""The date in templates that contain one, as Llama 3.1's does, so that prompts do not change from day to day."""
MARK = "~ the answer ~"  # does not occur in templates


class Prompter:
    """Renders texts as prompts; `answers[label id]` are the token ids of an answer, and `end` is their last."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: str | None,
        instruction: str,
        labels: Sequence[str],
        max_length: int,
    ) -> None:
        if chat_template is None and tokenizer.chat_template is None:
            raise BenchmarkError("The tokenizer has no chat template.", "Set model.chat_template.")
        self.tokenizer = tokenizer
        self.chat_template = chat_template or tokenizer.chat_template
        self.instruction = instruction
        self.labels = tuple(labels)
        if "strftime_now" in self.chat_template and "date_string" not in self.chat_template:
            raise BenchmarkError("The chat template contains today's date.", "Set model.chat_template to one without.")
        self.end = self._end_token()
        self.answers = [[*self._ids(label), self.end] for label in labels]
        self.limit = max_length - max(map(len, self.answers))

    def prompts(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The prompt of each text as token ids, and the number of texts that were cut so that prompt and answer fit."""
        prompts = [self._ids(self.render(text)) for part in parts(texts, "tokenising") for text in part]
        truncated = 0
        for row, ids in enumerate(prompts):
            if len(ids) > self.limit:
                prompts[row] = self._shortened(texts[row], len(ids) - self.limit)
                truncated += 1
        return prompts, truncated

    def render(self, text: str, answer: str | None = None) -> str:
        """The conversation as one string, with `answer` or up to where the answer begins."""
        turns = [{"role": "user", "content": f"{self.instruction}\n{text}"}]
        if answer is not None:
            turns.append({"role": "assistant", "content": answer})
        rendered = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=answer is None, chat_template=self.chat_template,
            date_string=DATE,
        )  # fmt: skip
        assert isinstance(rendered, str)
        return rendered

    def _shortened(self, text: str, excess: int) -> list[int]:
        text_ids = self._ids(text)
        while excess > 0 and text_ids:  # decoding and encoding again may add a token
            text_ids = text_ids[:-excess]
            ids = self._ids(self.render(self.tokenizer.decode(text_ids)))
            excess = len(ids) - self.limit
        if excess > 0:
            raise BenchmarkError("recipe.max_length is too small for the prompt and an answer.", "Raise it.")
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


def branches(answers: Sequence[Sequence[int]]) -> dict[tuple[int, ...], dict[int, list[int]]]:
    """The points where answers differ: the tokens before it -> the next token -> the answers that continue with it.

    >>> branches([[7, 8, 0], [7, 9, 0], [5, 0]])
    {(): {7: [0, 1], 5: [2]}, (7,): {8: [0], 9: [1]}}
    """
    continued: dict[tuple[int, ...], dict[int, list[int]]] = {}
    for index, answer in enumerate(answers):
        for depth, token in enumerate(answer):
            continued.setdefault(tuple(answer[:depth]), {}).setdefault(token, []).append(index)
    return {path: children for path, children in continued.items() if len(children) > 1}
