"""`python -m benchmark.doctor model=llama3_lora`: everything that would stop a run on this machine, with its fix."""

import argparse
import sys

from benchmark.config import RunConfig
from benchmark.run.compose import add_overrides, compose, each_model, overrides_of
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
    """Print the findings of one run; return how many of them would stop it."""
    findings = list(examine(config))
    sys.stdout.write(f"{config.model.title} on {config.dataset.name}, recipe {config.recipe.name}\n")
    for finding in findings:
        mark = "ok  " if finding.fix is None else "STOP"
        sys.stdout.write(f"  {mark}  {finding.what:<10} {finding.found}\n")
        if finding.fix is not None:
            sys.stdout.write(f"        {'':<10} -> {finding.fix}\n")
    problems = sum(finding.fix is not None for finding in findings)
    sys.stdout.write(f"{problems} would stop this run\n" if problems else "nothing would stop this run\n")
    return problems


if __name__ == "__main__":
    main()
