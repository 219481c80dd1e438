"""What the parts of a configuration's name mean, and what the hardware is called."""

import re
from collections.abc import Iterable

TERMS = {
    r"paper": ("paper", "the study's training settings"),
    r"tuned": (
        "tuned",
        "usual training settings; learning rates of MiniLM and SmolLM2 chosen on validation texts",
    ),
    r"tune_cpu": ("tune_cpu", "a training that only compares learning rates on validation texts"),
    r"few_labels": ("few_labels", "40 epochs on as many texts of each label"),
    r"fp32|tf32|bf16|fp16": ("fp32, tf32, bf16, fp16", "number format of the computation"),
    r"packed|padded": ("padded", "texts of a batch are filled up to one length, instead of computed as one stream"),
    r"classification head": ("classification head", "trained on top of a decoder; else it rates the labels as words"),
    r"free generation": ("free generation", "the decoder writes the label"),
    r"label decoding": ("label decoding", "the decoder rates every label as its next words"),
    r"adapter .+": ("adapter NAME", "the LoRA adapter that run NAME trained; nothing is trained again"),
    r"weights from folder .+": ("weights from folder NAME", "pretrained weights of a local folder"),
    r"(hub|random) weights": ("hub weights, random weights", "weights from the Hugging Face Hub, or untrained ones"),
    r"FlashAttention-2|(SDPA|eager) attention": ("FlashAttention-2, SDPA, eager", "how attention is computed"),
    r"keep best": ("keep best", "keeps the weights of the best epoch on validation texts, not the last ones"),
    r"class weights balanced": ("class weights balanced", "every label counts the same in the loss"),
    r"\d+-shot": ("N-shot", "a prompt with N example texts and their labels; nothing is trained"),
    r"prompt .+": ("prompt NAME", "the text around the examples, in conf/prompt/NAME.yaml"),
    r"[\d,]+ (training|validation|test) texts?": ("N training texts", "only N of them, drawn at random by label"),
    r"first rows": ("first rows", "the first rows of the file, instead of rows drawn at random"),
    r"\d+ of \d+ cores": ("1 of 2 cores", "one thread on a machine with two cores"),
}
"""A regular expression for a part of a name, and the term with its meaning."""
MACHINES = {
    r"with (AVX2|AVX-512|AMX)": (
        "with AVX2",
        "a CPU whose widest vector instructions are AVX2; CPUs named without this have AVX-512 BF16",
    ),
}
"""A regular expression for a place in the name of a machine, and the term with its meaning."""


def terms_in(names: Iterable[str]) -> list[tuple[str, str]]:
    """The terms that occur in names of configurations and hardware, with their meanings, in the order of `TERMS`."""
    together = list(names)
    parts = {part for name in together for part in name.split(", ")}
    used = [term for pattern, term in TERMS.items() if any(re.fullmatch(pattern, part) for part in parts)]
    return used + [term for pattern, term in MACHINES.items() if any(re.search(pattern, name) for name in together)]
