"""Whether the folders of a run can be written."""

import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmark.config import FOLDERS, RunConfig
from benchmark.errors import BenchmarkError

FULL = ("No space left on device", "PytorchStreamWriter failed writing", "unexpected pos")
"""What safetensors and torch say when the disk is full; Python has an error number."""


def check_writable(option: str, folder: Path) -> None:
    """Raise `BenchmarkError` unless files can be written in `folder`, which need not exist yet."""
    try:
        links = (path for path in (folder, *folder.parents) if path.is_symlink() and not path.exists())
        if broken := next(links, None):
            raise BenchmarkError(
                f"{option}={folder} cannot be written: {broken} is a link to {broken.readlink()}, which does not "
                "exist.",
                "Create that folder, or name another.",
            )
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BenchmarkError(f"{option}={folder} cannot be written ({reason}).", "Name another folder.") from error


def check_folders(config: RunConfig) -> None:
    """Raise `BenchmarkError` for the first folder of the run that cannot be written."""
    if error := next(folder_errors(config), None):
        raise error


def folder_errors(config: RunConfig) -> Iterator[BenchmarkError]:
    """An error for each folder of the run that cannot be written."""
    inside = {"results_dir": Path("runs", config.model.name, config.dataset.title)}
    for option in FOLDERS:
        folder = getattr(config, option)
        if folder is not None:
            try:
                check_writable(option, Path(folder) / inside.get(option, ""))
            except BenchmarkError as error:
                yield error


def is_disk_full(error: BaseException | None) -> bool:
    """Whether `error`, or one that caused it, says that the disk is full."""
    if error is None:
        return False
    by_number = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    by_text = any(phrase in str(error) for phrase in FULL)
    return by_number or by_text or is_disk_full(error.__cause__ or error.__context__)
