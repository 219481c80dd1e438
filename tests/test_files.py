"""Hashes of files, and files that are replaced in one step. Their rows are tested in `data/test_file_formats.py`."""

import hashlib
from pathlib import Path

import pytest
from factories import files_below

from benchmark.files import replacing, sha256_of_file


def test_the_hash_of_several_files_is_that_of_their_joined_content(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"a" * 3_000_000)
    second.write_bytes(b"b")
    assert sha256_of_file(first) == hashlib.sha256(b"a" * 3_000_000).hexdigest()
    assert sha256_of_file(first, second) == hashlib.sha256(b"a" * 3_000_000 + b"b").hexdigest()


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "new" / "table.md"
    with replacing(file) as temporary:
        temporary.write_text("first")
        assert not file.exists()
    with replacing(file) as temporary:
        temporary.write_text("second")
        assert file.read_text() == "first"
        assert (temporary.parent, temporary.suffix) == (file.parent, ".md")
    assert files_below(tmp_path) == {"new/table.md"}
    assert file.read_text() == "second"
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_failed_replacement_keeps_the_file(tmp_path: Path) -> None:
    file = tmp_path / "table.md"
    file.write_text("first")

    def write_half() -> None:
        with replacing(file) as temporary:
            temporary.write_text("sec")
            raise RuntimeError("no more to write")

    with pytest.raises(RuntimeError, match="no more to write"):
        write_half()
    assert files_below(tmp_path) == {"table.md"}
    assert file.read_text() == "first"
