"""Damaged checkpoints are found, and training continues from the newest intact one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.compute.folder_hashes import HASHES, find_damage, write_hashes
from baselines.training.checkpoints import newest_intact


def save_checkpoint(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "below").mkdir(parents=True)
    (checkpoint / "weights").write_bytes(b"12345")
    (checkpoint / "below/state").write_bytes(b"abc")
    write_hashes(checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "weights").write_bytes(b"12346"), "weights has changed"),
        (lambda folder: (folder / "weights").write_bytes(b"123"), "weights has changed"),
        (lambda folder: (folder / "below/state").unlink(), "below/state has changed"),
        (lambda folder: (folder / "new").touch(), "new has changed"),
        (lambda folder: (folder / HASHES).unlink(), "it is incomplete"),
        (lambda folder: (folder / HASHES).write_text("{"), "it is incomplete"),
        (lambda folder: (folder / HASHES).write_text("[]"), "it is incomplete"),
    ],
)
def test_damage_is_found(damage: Callable[[Path], object], found: str | None, tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path, 1)
    damage(checkpoint)
    assert find_damage(checkpoint) == found


def test_the_newest_intact_checkpoint_is_by_step_and_newer_damaged_ones_are_deleted(tmp_path: Path) -> None:
    steps = {step: save_checkpoint(tmp_path, step) for step in (2, 9, 10, 11)}
    for step in (10, 11, 2):
        (steps[step] / "weights").unlink()
    assert newest_intact(tmp_path) == steps[9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-9"]


def test_a_file_with_the_name_of_a_checkpoint_is_left_alone(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path, 3)
    (tmp_path / "checkpoint-4").touch()
    assert newest_intact(tmp_path) == checkpoint
    assert (tmp_path / "checkpoint-4").is_file()


def test_without_an_intact_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert newest_intact(tmp_path) is None
    (save_checkpoint(tmp_path, 3) / HASHES).unlink()
    assert newest_intact(tmp_path) is None
