"""Runs that never began to train: kept beside the checkpoints, never in the results."""

import shutil
from pathlib import Path

from benchmark.config import RunConfig
from benchmark.results.record import RunRecord, to_json
from benchmark.results.store import folder_of, replacing


def keep(config: RunConfig, record: RunRecord) -> Path:
    """Write the record of a run that never began to train. Returns its file."""
    file = _folder(config, record) / f"{folder_of(Path(), record.config, record.digest).name}.json"
    with replacing(file) as path:
        path.write_bytes(to_json(record))
    return file


def forget(config: RunConfig, record: RunRecord) -> None:
    """Delete the failed tries of this model on this data set, once it works."""
    shutil.rmtree(_folder(config, record), ignore_errors=True)


def _folder(config: RunConfig, record: RunRecord) -> Path:
    return Path(config.checkpoints_dir).parent / "failures" / record.model / record.dataset
