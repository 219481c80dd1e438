"""`python -m benchmark.verify`: check that records, predictions and tables agree; name everything that does not.

Each record is checked against its checksum, its predictions and its folder; the tables are computed again from the
predictions. README, page and figures are built from the same tables; `python -m benchmark.report --check` compares
them with the records.
"""

import argparse
import sys

from benchmark.errors import BenchmarkError
from benchmark.report.verification import check, doubts_about_the_study
from benchmark.terminal import add_results_dir, exit_on_error, results_dir_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.verify", description=__doc__)
    add_results_dir(parser)
    results_dir = results_dir_of(parser.parse_intermixed_args())
    with exit_on_error():
        if not (results_dir / "runs").is_dir():
            raise BenchmarkError(f"{results_dir} holds no runs.", "Name the folder that holds them: results_dir=DIR.")
        checked = check(results_dir)
    sys.stdout.writelines(f"{fault}\n" for fault in checked.faults)
    sys.stdout.writelines(f"left out, because another folder holds the same run: {copy}\n" for copy in checked.copies)
    sys.stdout.writelines(f"{sentence}\n" for sentence in doubts_about_the_study())
    sys.stdout.write(f"{checked.runs} runs in {results_dir}, {len(checked.faults)} faults\n")
    sys.exit(1 if checked.faults else 0)


if __name__ == "__main__":
    main()
