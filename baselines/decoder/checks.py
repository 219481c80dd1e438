"""What a decoder needs before it can be trained or used, checked without its weights."""

import math
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from baselines.compute.hardware import Quantization, check_quantization
from baselines.decoder.options import DecoderOptions
from baselines.decoder.prompt import Prompter
from baselines.training.fsdp import check_unsharded
from baselines.training.memory_estimate import tokens_per_text
from baselines.training.requirements import adapter_checks, check_length, failed_check
from baselines.weights.adapter import Adapter, read_adapter
from baselines.weights.compatibility import check_ids
from baselines.weights.sources import Source
from baselines.weights.starting_point import StartingPoint, check_random
from baselines.weights.without_weights import build_without_weights
from benchmark.errors import BenchmarkError
from benchmark.interface import CheckResult, FitContext, Readout, Recipe


def option_checks(options: DecoderOptions, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
    """Check the options, and the adapter if there is one."""
    random_weights, labels = options.weights.source is Source.random, options.head_labels(context.labels)
    return [
        *failed_check("max_length", lambda: check_context(options, context.recipe)),
        *failed_check("recipe", lambda: check_label_loss(options, context.recipe)),
        *failed_check("readout", lambda: check_head(options)),
        *_too_long(options, texts, context.recipe),
        *failed_check("train", lambda: check_random(options.weights, labels, options.start.needed)),
        *failed_check("quantization", lambda: check_quantization(options.quantization, random_weights)),
        *adapter_checks(options.adapter, lambda: trained_adapter(options, options.start, context.labels)),
    ]


def tokens_per_sample(options: DecoderOptions, texts: Sequence[str], recipe: Recipe) -> float:
    """The approximate mean number of tokens that are computed for each text."""
    if options.only_packed and not options.shots:  # the prompts' common beginning is computed once
        return min(tokens_per_text(texts), recipe.max_length)
    return min(_prompt_tokens(options, texts), recipe.max_length)


def check_context(options: DecoderOptions, recipe: Recipe) -> None:
    """Raise if prompts with examples may have more tokens than the model reads.

    Prompts without examples may be far shorter than `max_length`. A prompt that is too long is refused when it is
    made.
    """
    if options.shots:
        check_length(recipe.max_length, options.architecture.get("max_position_embeddings"))


def check_label_loss(options: DecoderOptions, recipe: Recipe) -> None:
    """Raise for options of the loss over labels without a classification head."""
    for option, default in (("class_weights", None), ("label_smoothing", 0.0)):
        if options.readout is not Readout.head and (value := getattr(recipe, option)) != default:
            raise BenchmarkError(
                f"recipe.{option} is {value}, but a decoder that writes its answer has no loss over labels.",
                f"Set model.readout=head, or leave recipe.{option} out.",
            )


def check_head(options: DecoderOptions) -> None:
    """Raise if the classification head of this architecture is not one linear layer named `score`."""
    if options.readout is Readout.head and not hasattr(
        build_without_weights(options.auto_class, options.architecture), "score"
    ):
        raise BenchmarkError(
            f"model.readout=head does not support {options.architecture['model_type']}.", "Set model.readout=labels."
        )


def check_fsdp(options: DecoderOptions) -> None:
    """Raise for options that processes with a part of the weights each do not support."""
    if options.readout is Readout.generate:  # every process would generate another number of tokens
        check_unsharded("free generation", "Set model.readout=labels, or read the saved adapter in one process.")
    if options.quantization is not Quantization.none:
        check_unsharded("quantised weights", "Set model.quantization=none, or leave FSDP out.")


def check_max_new_tokens(options: DecoderOptions, prompter: Prompter) -> None:
    """Raise if a label is longer than free generation may write."""
    longest = max(prompter.answers, key=len)
    if (tokens := len(longest) - 1) > options.max_new_tokens:  # without the end token
        raise BenchmarkError(
            f"model.max_new_tokens is {options.max_new_tokens}, but the label "
            f"{prompter.tokenizer.decode(longest[:-1])} has {tokens} tokens.",
            f"Set model.max_new_tokens={tokens + 1}.",
        )


def trained_adapter(options: DecoderOptions, start: StartingPoint, labels: Sequence[str]) -> Adapter | None:
    """The adapter to start from, checked against the architecture."""
    if start.adapter is None:
        return None
    network = build_without_weights(options.auto_class, options.architecture | {"num_labels": len(labels)})
    return read_adapter(Path(start.adapter), network, options.task, options.lora, start.weights.hub_id)


def checked_prompter(
    options: DecoderOptions,
    tokenizer: PreTrainedTokenizerBase,
    context: FitContext,
    examples: Sequence[tuple[str, int]] = (),
) -> Prompter:
    """The prompter for these options, after a check that the architecture has its tokens."""
    length, template = context.recipe.max_length, options.chat_template
    prompter = Prompter(
        tokenizer, template, options.instruction, context.words, length, prompt=options.prompt, examples=examples
    )
    (prompt,), _ = prompter.prompts([""])
    check_ids(tokenizer, [*prompt, *prompter.ends], options.architecture["vocab_size"])
    return prompter


def _prompt_tokens(options: DecoderOptions, texts: Sequence[str]) -> float:
    turn = tokens_per_text([options.instruction]) + tokens_per_text(texts)
    return (1 + (options.shots or 0)) * turn


def _too_long(options: DecoderOptions, texts: Sequence[str], recipe: Recipe) -> list[CheckResult]:
    """A failed check if prompts with examples are cut."""
    tokens, limit = _prompt_tokens(options, texts), recipe.max_length
    if not options.shots or tokens <= limit:
        return []
    problem = f"a prompt with {options.shots} examples has about {tokens:.0f} tokens, above recipe.max_length={limit}"
    return [
        CheckResult(
            "examples", problem, f"Set recipe.max_length={math.ceil(1.2 * tokens)} or more, or lower model.shots."
        )
    ]
