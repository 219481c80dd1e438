"""Folders that cannot be written and full disks are recognised."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmark.config import FOLDERS, RunConfig
from benchmark.errors import BenchmarkError
from benchmark.run.folders import check_folders, check_writable, folder_errors, is_disk_full


def test_parallel_checks_of_a_folder_leave_nothing_behind(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda folder: check_writable("results_dir", folder), [tmp_path / "new"] * 400))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_inside_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchmarkError) as error:
        check_writable("results_dir", tmp_path / "file/inside")
    assert f"results_dir={tmp_path}/file/inside" in error.value.problem
    assert error.value.fix is not None


@pytest.mark.parametrize("option", FOLDERS)
def test_an_empty_name_of_a_folder_is_refused(option: str, compose_run: Callable[..., RunConfig]) -> None:
    """It comes from a variable of the shell that is not set, and would be the current folder."""
    with pytest.raises(BenchmarkError, match=f"^{option} is empty."):
        compose_run(f"{option}=")


def test_a_link_to_a_folder_that_does_not_exist_is_named_with_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    with pytest.raises(BenchmarkError) as error:
        check_writable("results_dir", tmp_path / "link/inside")
    assert f"{tmp_path}/link is a link to {tmp_path}/unmounted" in error.value.problem
    (tmp_path / "unmounted").mkdir()
    check_writable("results_dir", tmp_path / "link/inside")


@pytest.mark.parametrize("method", ["exists", "is_symlink"])
def test_a_folder_in_a_closed_one_cannot_be_written(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, method, closed)
    with pytest.raises(BenchmarkError, match="Permission denied"):
        check_writable("results_dir", tmp_path / "new")


def test_every_folder_of_a_run_is_checked(compose_run: Callable[..., RunConfig], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = compose_run(*(f"{option}={tmp_path}/file/{option}" for option in FOLDERS))
    assert [error.problem.partition("=")[0] for error in folder_errors(config)] == list(FOLDERS)
    assert list(folder_errors(compose_run())) == []  # models_dir is null
    (tmp_path / "results").mkdir()
    (tmp_path / "results/runs").symlink_to(tmp_path / "unmounted")
    with pytest.raises(BenchmarkError) as raised:
        check_folders(config)
    assert raised.value.problem.startswith(FOLDERS[0])
    (error,) = folder_errors(compose_run(f"results_dir={tmp_path}/results"))
    assert f"{tmp_path}/results/runs is a link to {tmp_path}/unmounted" in error.problem


def caused_by(cause: BaseException) -> BaseException:
    error = RuntimeError("Training stopped.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EDQUOT, "over quota"), True),
        (OSError(errno.EACCES, "denied"), False),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), True),
        (RuntimeError("unexpected pos 64 vs 0"), True),
        (ValueError("I/O error: No space left on device (os error 28)"), True),
        (caused_by(OSError(errno.ENOSPC, "full")), True),
        (caused_by(ValueError("other")), False),
        (None, False),
    ],
)
def test_a_full_disk_is_recognised_by_number_or_text(error: BaseException | None, full: bool) -> None:
    assert is_disk_full(error) is full
