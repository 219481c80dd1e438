"""`python -m benchmark.doctor model=llama3_lora`: everything that would stop a run on this machine, with its fix."""

import argparse
import sys

from benchmark.config import RunConfig
from benchmark.configuration.compose import add_overrides, compose, each_model, overrides_of
from benchmark.run.diagnosis import examine
from benchmark.terminal import exit_on_error, quiet_libraries


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.doctor", description=__doc__)
    add_overrides(parser, "model=llama3_lora recipe=tuned dataset.path=DIR")
    arguments = parser.parse_intermixed_args()
    quiet_libraries()
    with exit_on_error():
        problems = sum(show(compose(overrides)) for overrides in each_model(overrides_of(arguments)))
    sys.exit(1 if problems else 0)


def show(config: RunConfig) -> int:
    """Print what was checked for one run; return how many checks would stop it."""
    results = list(examine(config))
    sys.stdout.write(f"{config.model.title} on {config.dataset.name}, recipe {config.recipe.name}\n")
    for result in results:
        mark = "ok  " if result.fix is None else "STOP"
        sys.stdout.write(f"  {mark}  {result.what:<10} {result.found}\n")
        if result.fix is not None:
            sys.stdout.write(f"        {'':<10} -> {result.fix}\n")
    problems = sum(result.fix is not None for result in results)
    sys.stdout.write(f"{problems} would stop this run\n" if problems else "nothing would stop this run\n")
    return problems


if __name__ == "__main__":
    main()
