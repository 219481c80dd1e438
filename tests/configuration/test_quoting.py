"""What YAML and Hydra make of an unquoted word never becomes a label, and the quotes of the message work."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.configuration.compose import compose, with_config_dir
from benchmark.errors import BenchmarkError


def labels_of(written: str, folder: Path, option: str = "labels") -> Any:
    """An option of a data set whose YAML file has this value."""
    (folder / "dataset").mkdir(exist_ok=True)
    other = "" if option == "labels" else "labels: [bad, good]\n"
    (folder / "dataset" / "mine.yaml").write_text(f"name: mine\n{other}{option}: {written}\n")
    return getattr(compose(with_config_dir(["dataset=mine"], folder)).dataset, option)


@pytest.mark.parametrize(
    "written",
    ["[no, yes]", "[on, off]", "[null, some]", "[a, ~]", "[1e3, few]", "[010, 011]", "[0x1F, b]", "[1.10, 1.1]",
     "[1, 2]", "[a, 1_000]", "[.inf, a]", "[true, b]", "[12:30, b]"],
)  # fmt: skip
def test_a_label_that_yaml_changes_is_refused(written: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"^dataset\.labels contains ") as refusal:
        labels_of(written, tmp_path)
    (quoted,) = [part for part in str(refusal.value.fix).split("'") if part.startswith("dataset.labels=")]
    assert compose([quoted]).dataset.labels == ["no", "yes"]
    assert labels_of(quoted.partition("=")[2], tmp_path) == ["no", "yes"]


@pytest.mark.parametrize("written", ["no", "on", "1e3"])
def test_the_quotes_that_a_single_text_needs_work(written: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError) as refusal:
        labels_of(written, tmp_path, "text_column")
    (quoted,) = [part for part in refusal.value.fix.split("'") if part.startswith("dataset.text_column=")]
    assert compose([quoted]).dataset.text_column == "no"  # an example: what was written is not known
    assert labels_of(quoted.partition("=")[2], tmp_path, "text_column") == "no"


@pytest.mark.parametrize(("written", "read"), [("12", "12"), ("010", "8"), ("0x1F", "31"), ("1_000", "1000")])
def test_a_whole_number_alone_is_accepted_as_yaml_reads_it(written: str, read: str, tmp_path: Path) -> None:
    assert labels_of(written, tmp_path, "text_column") == read


@pytest.mark.parametrize("written", ["[2020-01-01, b]", "[n, y]", "['no', \"yes\"]", "[a b, 'c, d']"])
def test_labels_that_stay_as_they_were_written_are_taken(written: str, tmp_path: Path) -> None:
    assert all(label in written for label in labels_of(written, tmp_path))


@pytest.mark.parametrize(
    ("option", "written"),
    [
        ("label_words", "{bad: no, good: yes}"),
        ("label_words", "{no: nein}"),
        ("text_column", "on"),
        ("text_column", "1e3"),
    ],
)
def test_other_texts_that_yaml_changes_are_refused(option: str, written: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=rf"^dataset\.{option} contains "):
        labels_of(written, tmp_path, option)


@pytest.mark.parametrize(
    "override", ["dataset.labels=[true,false]", "dataset.labels=[a,1]", "dataset.hub.revision=1e10"]
)
def test_values_of_the_command_line_are_checked_as_well(override: str) -> None:
    with pytest.raises(BenchmarkError, match=override.partition("=")[0]):
        compose([override])
