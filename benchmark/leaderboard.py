"""How things stand when a command ends: a short leaderboard in the terminal and what was written."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from benchmark.classifier import BenchmarkError

if TYPE_CHECKING:
    import pandas as pd


class Closing(Callback):
    """Hydra tells it where results go when a run or sweep starts; `print` is called when all is over."""

    config: ClassVar[DictConfig | None] = None
    started: ClassVar[str] = ""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        Closing.config = config
        Closing.started = datetime.now(UTC).isoformat(timespec="seconds")

    on_multirun_start = on_run_start

    @staticmethod
    def print() -> None:
        """Show the leaderboard of each data set touched since the start, and what was written."""
        if Closing.config is None:
            return
        from benchmark.records import read_evidence  # --help must not pay for pandas
        from benchmark.tables import leaderboard

        results_dir, asked = (OmegaConf.select(Closing.config, option) for option in ("results_dir", "dataset.name"))
        if results_dir is None:
            return
        results_dir = Path(results_dir)
        try:
            evidence = read_evidence(results_dir)
            ended = [run for run in evidence.runs if run.record.finished >= Closing.started]
            for dataset in sorted({run.record.dataset for run in ended} or {str(asked)}):
                standing = leaderboard(evidence, dataset)
                if not standing.empty:
                    sys.stdout.write(f"\n{dataset}\n{terminal_table(standing)}\n")
        except BenchmarkError as error:
            sys.stderr.write(f"{error}\n")
            return
        if ended:
            places = [*(run.folder for run in ended), results_dir / "tables", results_dir / "figures"]
            sys.stdout.write("\nwrote\n" + "".join(f"  {place}\n" for place in places))


def terminal_table(standing: "pd.DataFrame") -> str:
    """The leaderboard's columns that fit a terminal."""
    from benchmark.wording import readable

    columns = ["model", "recipe", "accuracy", "spread", "low", "high", "macro_f1", "training_seconds", "status"]
    table = readable(standing[columns])
    return table.to_markdown(
        index=False, tablefmt="simple", disable_numparse=True, maxcolwidths=[None, 20, *[None] * 5, 40]
    )
