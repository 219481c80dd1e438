"""`python -m benchmark.speed model=smollm2_lora`: how fast a model trains and predicts, against its references.

The reference is padded batches of the recipe's size and, for a decoder, free generation; padded batches with activation
checkpointing are a second one. All take turns in one process on the same rows, so that their ratios hold on a machine
that other processes use too.
"""

import argparse
import logging
import re
import sys
from contextlib import suppress
from pathlib import Path

from benchmark.configuration.compose import add_overrides, compose, overrides_of
from benchmark.configuration.revisions import pin
from benchmark.measure import gpu_check, latency, throughput
from benchmark.measure.flops import DTYPE_NAMES
from benchmark.results.speed import Latency, write_speed
from benchmark.run.folders import check_writable
from benchmark.terminal import exit_on_error, quiet_libraries

COUNTS = {
    "steps": "optimiser steps per measurement",
    "texts": "test texts predicted per measurement",
    "rounds": "measurements of each way",
}
"""The options of `SpeedOptions`."""
OF_KEPT_MODEL = re.compile(r"[+~]*(dataset|results_dir)\b")
"""Overrides that say on what texts a kept model is measured, and where the result is written."""


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for measuring in (gpu_check, throughput):
        measuring.log.setLevel(logging.INFO)
    quiet_libraries()
    with exit_on_error():
        overrides = overrides_of(arguments)
        if arguments.check is not None:
            sys.exit(gpu_check.check(overrides, arguments.check or list(gpu_check.PARTS)))
        if arguments.model_dir is not None:
            overrides = [*latency.data_overrides(arguments.model_dir, overrides), *overrides]
        config = compose([f"++dataset.train_rows={throughput.TRAIN_ROWS}", *overrides])
        check_writable("results_dir", Path(config.results_dir))
        given = {name: value for name in COUNTS if (value := getattr(arguments, name)) is not None}
        options = throughput.SpeedOptions(**given)
        if arguments.latency:
            one_by_one = latency.measure(config, options.texts, arguments.model_dir, arguments.settings)
            path = write_speed(one_by_one, Path(config.results_dir), latency.file_suffix(one_by_one))
            summary = _summary(one_by_one)
        else:
            measured = throughput.measure(pin(config), arguments.precisions, options)
            path = write_speed(measured, Path(config.results_dir))
            summary = throughput.ratios(measured)
        sys.stdout.write(f"{summary}\nwrote {path}; python -m benchmark.report shows it\n")


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
    _refuse_ignored(parser, arguments)
    words = arguments.overrides
    folders = [word for word in words if "=" not in word] if arguments.latency else []
    if len(folders) > 1 or (folders and any(word.startswith("model=") for word in words)):
        parser.error("--latency takes one MODEL_DIR or model=NAME")
    arguments.model_dir = next(iter(folders), None)
    arguments.settings = [word for word in words if folders and word.startswith("model.")]
    arguments.overrides = [word for word in words if word not in (*folders, *arguments.settings)]
    if folders and (ignored := [word for word in arguments.overrides if not re.match(OF_KEPT_MODEL, word)]):
        parser.error(
            f"{ignored[0]} does not change a kept model. Leave it out, or give model=NAME in place of MODEL_DIR."
        )
    return arguments


def _refuse_ignored(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with an error if an option is given that --check or --latency does not use."""
    unused = {"--check": ("precisions", *COUNTS), "--latency": ("precisions", "steps", "rounds")}
    mode = "--check" if arguments.check is not None else "--latency" if arguments.latency else None
    if mode and (ignored := [option for option in unused[mode] if getattr(arguments, option) is not None]):
        set_one = " Set model.precision in its place." if (mode, ignored[0]) == ("--latency", "precisions") else ""
        parser.error(f"--{ignored[0]} has no effect with {mode}. Leave it out.{set_one}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmark.speed", description=__doc__)
    add_overrides(parser, "model=minilm model.weights.source=random dataset.path=DIR")
    parser.add_argument(
        "--precisions",
        nargs="+",
        metavar="PRECISION",
        help=f"{', '.join(DTYPE_NAMES)}; default: the model's own, and bf16 if this machine computes it fast",
    )
    for option, counted in COUNTS.items():
        default = getattr(throughput.SpeedOptions, option)
        parser.add_argument(f"--{option}", type=_positive, metavar="N", help=f"{counted} (default: {default})")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--latency",
        action="store_true",
        help="measure texts one by one and together instead, of model=NAME or of a kept model: --latency MODEL_DIR",
    )
    instead.add_argument(
        "--check",
        nargs="*",
        metavar="PART",
        help="check and measure the fast path on this device instead, with random weights: about eight minutes on one "
        "GPU, and tiny models on a CPU; parts are tests, speed and training (default: all)",
    )
    return parser


def _summary(measured: Latency) -> str:
    times = measured.latency
    percentiles = {"p50": times.p50, "p95": times.p95, "p99": times.p99}
    shown = ", ".join(f"{name} {1000 * seconds:.3g} ms" for name, seconds in percentiles.items())
    return f"one text: {shown}; together: {times.batched_per_second:.3g} texts a second"


def _positive(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) >= 1:
            return number
    raise argparse.ArgumentTypeError("must be a whole number of 1 or more")


if __name__ == "__main__":
    main()
