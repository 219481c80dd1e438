"""The page with texts: only those that the runs answered, and never in the results folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import GOLD, LABELS, a_record, publish

from benchmark.analysis.frame import Results, read_results
from benchmark.data.checks import content_sha256
from benchmark.data.row_choice import choose, select
from benchmark.dataset_config import RowChoice
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples
from benchmark.report.__main__ import write_page_with_texts
from benchmark.report.local_texts import local_texts

TEXTS = tuple(f"text <{row}>" for row in range(len(GOLD)))
IDS = tuple(f"test-{row}" for row in range(len(GOLD)))
ALL = Examples(IDS, TEXTS, np.array(GOLD))
SHA256 = content_sha256(ALL, LABELS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose test split is the one of the runs."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = "".join(f"{text},{LABELS[label]}\n" for text, label in zip(TEXTS, GOLD, strict=True))
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return folder


def results(tmp_path: Path) -> Results:
    publish(tmp_path / "results", a_record("minilm", test_sha256=SHA256), GOLD)
    publish(tmp_path / "results", a_record("tfidf", test_sha256=SHA256), [1] * 10)
    return read_results(tmp_path / "results")


def test_the_texts_are_found_by_the_ids_of_the_runs(tmp_path: Path, folder: Path) -> None:
    found = local_texts(results(tmp_path), folder)
    assert found == {SHA256: {f"test-{row}": text for row, text in enumerate(TEXTS)}}


def original_files(name: str) -> dict[str, str]:
    """Test rows as the original files of a shipped data set have them, with ids in another order than the labels."""
    names = sorted(LABELS)
    ids = [names.index(LABELS[label]) for label in GOLD]
    if name == "tweet_emotion":
        of_ids = "".join(f"{number}\t{label}\n" for number, label in enumerate(names))
        labels = "".join(f"{number}\n" for number in ids)
        return {"mapping.txt": of_ids, "test_text.txt": "\n".join(TEXTS), "test_labels.txt": labels}
    if name == "banking77":
        rows = [f"{text},{LABELS[label]}\n" for text, label in zip(TEXTS, GOLD, strict=True)]
        return {"test.csv": "".join(["text,category\n", *rows])}
    rows = [f"{text}\t{number}\tx\n" for text, number in zip(TEXTS, ids, strict=True)]
    return {"labels.txt": "\n".join(names), "test.tsv": "".join(["both\t0,1\tx\n", *rows])}


@pytest.mark.parametrize("name", ["tweet_emotion", "banking77", "goemotions"])
def test_the_texts_are_found_in_the_original_files_of_a_shipped_data_set(name: str, tmp_path: Path) -> None:
    for file, content in original_files(name).items():
        for split in ("train", "test"):
            (tmp_path / file.replace("test", split)).write_text(content, encoding="utf-8")
    options = ["dataset.skip_multilabel=true", "dataset.label_column=labels"] if name == "goemotions" else []
    publish(tmp_path / "results", a_record("minilm", *options, dataset=name, test_sha256=SHA256), GOLD)
    found = local_texts(read_results(tmp_path / "results"), tmp_path)
    assert found == {SHA256: dict(zip(IDS, TEXTS, strict=True))}


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset.files.label_column=mood", "dataset.files.label_names=names.txt"],
        ["+dataset.files={label_column: mood, label_names: names.txt}"],
        ["dataset.files={label_column:mood,label_names:'names.txt'}", "dataset.files.label_separator=|"],
        ["dataset.files.label_separator=:", 'dataset.files.label_column="mood"', "dataset.files.label_names=names.txt"],
    ],
)
def test_the_texts_are_found_in_files_of_another_form(overrides: list[str], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, GOLD, strict=True))
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(f"text,mood\n{rows}")
    record = a_record("minilm", dataset="mine", test_sha256=SHA256)
    publish(tmp_path / "results", a_record("tfidf", dataset="mine", test_sha256=SHA256), GOLD)
    publish(tmp_path / "results", replace(record, overrides=[*record.overrides, *overrides]), GOLD)
    found = local_texts(read_results(tmp_path / "results"), tmp_path)
    assert found == {SHA256: dict(zip(IDS, TEXTS, strict=True))}


def test_the_texts_of_a_shipped_data_set_are_found_in_a_table_with_a_header(tmp_path: Path, folder: Path) -> None:
    publish(tmp_path / "results", a_record("minilm", dataset="goemotions", test_sha256=SHA256), GOLD)
    assert local_texts(read_results(tmp_path / "results"), folder).keys() == {SHA256}


@pytest.mark.parametrize("choice", list(RowChoice))
def test_the_texts_of_chosen_test_rows_are_found(tmp_path: Path, folder: Path, choice: RowChoice) -> None:
    chosen = choose(ALL, 6, choice)
    sha256 = content_sha256(chosen, LABELS)
    overrides = ("dataset.test_rows=6", f"dataset.row_choice={choice}")
    publish(tmp_path / "results", a_record("minilm", *overrides, test_sha256=sha256), GOLD)
    found = local_texts(read_results(tmp_path / "results"), folder)
    assert found == {sha256: dict(zip(chosen.ids, chosen.texts, strict=True))}


def test_changed_texts_and_those_of_another_data_set_are_found(tmp_path: Path, folder: Path) -> None:
    upper = tuple(text.upper() for text in TEXTS)
    joy = [row for row, label in enumerate(GOLD) if LABELS[label] == "joy"]
    hashes = [content_sha256(replace(ALL, texts=upper), LABELS), content_sha256(select(ALL, np.array(joy)), LABELS)]
    changed = a_record("minilm", "dataset.perturb=uppercase", test_sha256=hashes[0])
    other = replace(changed.config.dataset, name="other", perturb=None)
    dataset = replace(other, name="emotion", test=other, test_labels={"joy": "joy"})
    transferred = a_record("tfidf", test_sha256=hashes[1])
    transferred = replace(transferred, config=replace(transferred.config, dataset=dataset))
    publish(tmp_path / "results", changed, GOLD)
    publish(tmp_path / "results", transferred, GOLD)
    found = local_texts(read_results(tmp_path / "results"), folder)
    assert found == {
        hashes[0]: dict(zip(IDS, upper, strict=True)),
        hashes[1]: {IDS[row]: TEXTS[row] for row in joy},
    }


@pytest.mark.parametrize("change", ["content", "labels", "missing"])
def test_a_folder_with_other_texts_is_refused(tmp_path: Path, folder: Path, change: str) -> None:
    test = folder / "test.csv"
    content = test.read_text(encoding="utf-8")
    new = {"content": content.replace("<3>", "<4>"), "labels": content.replace("joy", "glee")}
    if change == "missing":
        test.unlink()
    else:
        test.write_text(new[change], encoding="utf-8")
    with pytest.raises(BenchmarkError) as caught:
        local_texts(results(tmp_path), folder)
    assert str(folder) in caught.value.problem
    assert "--texts" in str(caught.value.fix)


def test_only_the_page_asked_for_holds_texts(tmp_path: Path, folder: Path) -> None:
    results(tmp_path)
    write_page_with_texts(tmp_path / "results", folder, tmp_path / "outputs/page.html")
    write_page_with_texts(tmp_path / "results", folder, tmp_path / "outputs")  # a folder that is there
    assert (tmp_path / "outputs/report_with_texts.html").is_file()
    assert "text \\u003c3\\u003e" in (tmp_path / "outputs/page.html").read_text(encoding="utf-8")
    assert not (tmp_path / "results/report.html").exists()


def test_texts_are_not_written_into_the_results(tmp_path: Path, folder: Path) -> None:
    results(tmp_path)
    with pytest.raises(BenchmarkError) as caught:
        write_page_with_texts(tmp_path / "results", folder, tmp_path / "results/../results/page.html")
    assert "page.html" in caught.value.problem
    assert "--output" in str(caught.value.fix)
