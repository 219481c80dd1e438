"""`python -m benchmark.speed model=smollm2_lora`: how fast a model trains and predicts, against its references.

The reference is padded batches of the recipe's size and, for a decoder, free generation; padded batches with activation
checkpointing are a second one. All take turns in one process on the same rows, so that their ratios hold on a machine
that other processes use too.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from benchmark.run import gpu_check, latency, speed_document, throughput
from benchmark.run.compose import add_overrides, compose, overrides_of
from benchmark.run.flops import DTYPE_NAMES
from benchmark.run.folders import check_writable
from benchmark.run.revisions import pin
from benchmark.terminal import plain_endings, quiet_libraries


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for measuring in (gpu_check, throughput):
        measuring.log.setLevel(logging.INFO)
    quiet_libraries()
    with plain_endings():
        overrides = overrides_of(arguments)
        if arguments.check is not None:
            sys.exit(gpu_check.check(overrides, arguments.check or list(gpu_check.PARTS)))
        config = pin(compose([f"++dataset.train_rows={throughput.TRAIN_ROWS}", *overrides]))
        check_writable("results_dir", Path(config.results_dir))
        options = throughput.SpeedOptions(arguments.steps, arguments.texts, arguments.rounds)
        if arguments.latency:
            document = latency.measure(config, options.texts, arguments.model_dir, arguments.settings)
        else:
            document = throughput.measure(config, arguments.precisions, options)
        path = speed_document.write(document, config.results_dir, "-latency" if arguments.latency else "")
        sys.stdout.write(f"{_summary(document)}\nwrote {path}; python -m benchmark.report shows it\n")


def _arguments() -> argparse.Namespace:
    """The arguments, with the `model_dir` and the `settings` of a kept model apart from the overrides."""
    parser = _parser()
    arguments = parser.parse_intermixed_args()
    for option, choices in (("precisions", tuple(DTYPE_NAMES)), ("check", gpu_check.PARTS)):
        if words := getattr(arguments, option):
            values = [word for word in words if "=" not in word]
            if unknown := [value for value in values if value not in choices]:
                parser.error(f"--{option} {unknown[0]}: choose from {', '.join(choices)}")
            setattr(arguments, option, values)
            arguments.overrides += [word for word in words if "=" in word]  # argparse took them for values
    words = arguments.overrides
    folders = [word for word in words if "=" not in word] if arguments.latency else []
    if len(folders) > 1 or (folders and any(word.startswith("model=") for word in words)):
        parser.error("--latency takes one MODEL_DIR or model=NAME")
    arguments.model_dir = next(iter(folders), None)
    arguments.settings = [word for word in words if folders and word.startswith("model.")]
    arguments.overrides = [word for word in words if word not in (*folders, *arguments.settings)]
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmark.speed", description=__doc__)
    add_overrides(parser, "model=minilm model.weights.source=random dataset.path=DIR")
    parser.add_argument(
        "--precisions",
        nargs="+",
        metavar="PRECISION",
        help=f"{', '.join(DTYPE_NAMES)}; default: the model's own, and bf16 if this machine computes it fast",
    )
    for option, counted in (
        ("steps", "optimiser steps per measurement"),
        ("texts", "test texts predicted per measurement"),
        ("rounds", "measurements of each way"),
    ):
        default = getattr(throughput.SpeedOptions, option)
        parser.add_argument(f"--{option}", type=_positive, default=default, help=f"{counted} (default: {default})")
    parser.add_argument(
        "--latency",
        action="store_true",
        help="measure texts one by one and together instead, of model=NAME or of a kept model: --latency MODEL_DIR",
    )
    parser.add_argument(
        "--check",
        nargs="*",
        metavar="PART",
        help="check and measure the fast path on this device instead, with random weights: about eight minutes on one "
        "GPU, and tiny models on a CPU; parts are tests, speed and training (default: all)",
    )
    return parser


def _summary(document: dict[str, Any]) -> str:
    if "latency" not in document:
        return throughput.ratios(document)
    measured = document["latency"]
    times = ", ".join(f"p{percent} {1000 * measured[f'p{percent}']:.3g} ms" for percent in latency.PERCENTILES)
    return f"one text: {times}; together: {measured['batched_per_second']:.3g} texts a second"


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
