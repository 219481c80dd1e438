"""Prompts and answers as token ids, rendered through a chat template."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from benchmark.errors import BenchmarkError

DATE = "26 Jul 2024"
"""For templates that tell the model the day, as Llama 3.1's does: a prompt must not change overnight."""
MARK = "~ the answer ~"  # in no template


class Prompter:
    """Turns texts into prompts; `answers[label]` are the ids that answer one, `end` their last."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: str | None,
        instruction: str,
        labels: Sequence[str],
        max_length: int,
    ) -> None:
        if chat_template is None and tokenizer.chat_template is None:
            raise BenchmarkError("The tokenizer has no chat template; write one under model.chat_template.")
        self.tokenizer = tokenizer
        self.chat_template = chat_template or tokenizer.chat_template
        self.instruction = instruction
        self.labels = tuple(labels)
        if "strftime_now" in self.chat_template and "date_string" not in self.chat_template:
            raise BenchmarkError("The chat template writes today's date; write one without under model.chat_template.")
        self.end = self._end_token()
        self.answers = [[*self._ids(label), self.end] for label in labels]
        self.limit = max_length - max(map(len, self.answers))

    def prompts(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Prompt ids of each text, and how many texts were cut so that prompt and answer fit."""
        prompts = [self._ids(self.render(text)) for text in texts]
        truncated = 0
        for row, ids in enumerate(prompts):
            if len(ids) > self.limit:
                prompts[row] = self._shortened(texts[row], len(ids) - self.limit)
                truncated += 1
        return prompts, truncated

    def render(self, text: str, answer: str | None = None) -> str:
        """The conversation as one string, up to where the answer begins, or with it."""
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
        while excess > 0 and text_ids:  # decoding and encoding again may add a token at the seam
            text_ids = text_ids[:-excess]
            ids = self._ids(self.render(self.tokenizer.decode(text_ids)))
            excess = len(ids) - self.limit
        if excess > 0:
            raise BenchmarkError("recipe.max_length leaves no room for the prompt; raise it.")
        return ids

    def _end_token(self) -> int:
        """The token that closes an answer: what the template writes behind it, else end of sequence."""
        behind = self.render("", MARK).rpartition(MARK)[2]
        ids = self._ids(behind)
        end = ids[0] if ids else self.tokenizer.eos_token_id
        if end is None:
            raise BenchmarkError("Neither the chat template nor the tokenizer says how an answer ends.")
        return int(end)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids


def branches(answers: Sequence[Sequence[int]]) -> dict[tuple[int, ...], dict[int, list[int]]]:
    """Where answers part: the path of tokens so far -> next token -> the answers it leads to.

    >>> branches([[7, 8, 0], [7, 9, 0], [5, 0]])
    {(): {7: [0, 1], 5: [2]}, (7,): {8: [0], 9: [1]}}
    """
    followed: dict[tuple[int, ...], dict[int, list[int]]] = {}
    for index, answer in enumerate(answers):
        for depth, token in enumerate(answer):
            followed.setdefault(tuple(answer[:depth]), {}).setdefault(token, []).append(index)
    return {path: children for path, children in followed.items() if len(children) > 1}
