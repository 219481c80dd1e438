import json
from pathlib import Path
from typing import Any

import pytest
from answer_files import (
    CORRECT,
    GOLD,
    PREDICTED,
    TEXTS,
    every_eval_ever_rows,
    every_format,
    label_rows,
    lighteval_rows,
    llama_factory_rows,
    lm_eval_rows,
    write_csv,
    write_jsonl,
    write_parquet,
)

from benchmark.analysis.exchange import read_answers
from benchmark.errors import BenchmarkError

FORMATS = ["csv", "jsonl", "LLaMA-Factory", "lm-eval", "lm-eval choice", "lighteval", "Every Eval Ever"]
NAMES = ["mine", "mine", "lora", "a__model", "b__model", "c", "a-lab/a-model"]


@pytest.mark.parametrize(("form", "name"), [*zip(FORMATS, NAMES, strict=True)])
def test_every_format_gives_the_same_answers(tmp_path: Path, form: str, name: str) -> None:
    read = read_answers(every_format(tmp_path)[form], {})
    assert read.model == name
    assert tuple(row.correct for row in read.rows) == CORRECT
    assert tuple(row.gold for row in read.rows) == GOLD
    assert tuple(row.predicted for row in read.rows) == PREDICTED
    assert read.unknown == 0
    assert read.rows[2].location.endswith((", row 3", ", row 4"))  # a header is a row


@pytest.mark.parametrize(
    ("form", "kind", "first"),
    [
        ("csv", "id", "row-0"),
        ("lm-eval", "doc_id and doc_hash", f"0, {0:016x}"),
        ("lighteval", "doc.id of mood|0", "0"),
        ("Every Eval Ever", "sample_id of mood", "mood-0"),
    ],
)
def test_ids_say_what_they_name(tmp_path: Path, form: str, kind: str, first: str) -> None:
    read = read_answers(every_format(tmp_path)[form], {})
    assert (read.id_kind, read.rows[0].id) == (kind, first)


def test_a_whole_number_that_pandas_wrote_as_a_float_is_the_same_id(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [{"id": float(row), "gold": "joy", "predicted": "joy"} for row in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row.id for row in read_answers(path, {}).rows] == ["0", "1"]


@pytest.mark.parametrize("form", ["lm-eval choice", "lighteval", "Every Eval Ever"])
def test_the_text_of_an_item_is_its_prompt(tmp_path: Path, form: str) -> None:
    assert tuple(row.text for row in read_answers(every_format(tmp_path)[form], {}).rows) == TEXTS


SCORES = {"acc": [1.0, 1.0, 0.0, 1.0, 0.0, 0.0], "acc_norm": [0.0] * 6}


def test_a_file_with_several_metrics_and_filters_needs_a_choice(tmp_path: Path) -> None:
    rows = [*lm_eval_rows(filter_name="strict", **SCORES), *lm_eval_rows(filter_name="loose", **SCORES)]
    path = write_jsonl(tmp_path / "samples.jsonl", rows)
    choices: dict[str, list[str]] = {}
    for option, first in (("filter", "strict"), ("metric", "acc")):
        with pytest.raises(BenchmarkError) as refused:
            read_answers(path, choices)
        assert str(path) in refused.value.problem
        assert f"--{option} {first}." in str(refused.value.fix)
        choices[option] = [first]
    assert tuple(row.correct for row in read_answers(path, choices).rows) == CORRECT
    assert not any(row.correct for row in read_answers(path, choices | {"metric": ["acc_norm", "other"]}).rows)
    with pytest.raises(BenchmarkError, match="acc, acc_norm"):
        read_answers(path, choices | {"metric": ["other"]})


def test_the_first_row_names_the_metrics(tmp_path: Path) -> None:
    first, second, *_ = lm_eval_rows(acc=SCORES["acc"])
    path = write_jsonl(tmp_path / "samples.jsonl", [first, second | {"metrics": ["acc", "acc_norm"]}])
    assert [row.correct for row in read_answers(path, {}).rows] == [True, True]


def test_files_of_older_versions_without_names_of_metrics_are_read(tmp_path: Path) -> None:
    later = ("metrics", "filter", "doc_hash")
    rows = [{key: value for key, value in row.items() if key not in later} for row in lm_eval_rows()]
    read = read_answers(write_jsonl(tmp_path / "samples.jsonl", rows), {})
    assert read.id_kind == "doc_id"
    assert tuple(row.correct for row in read.rows) == CORRECT


def test_rows_of_several_results_need_a_choice(tmp_path: Path) -> None:
    rows = [row | {"evaluation_result_id": "mood/accuracy"} for row in every_eval_ever_rows()]
    rows += [row | {"evaluation_result_id": "mood/judge"} for row in every_eval_ever_rows(GOLD)]
    path = write_jsonl(tmp_path / "samples.jsonl", rows)
    with pytest.raises(BenchmarkError, match="--metric mood/accuracy"):
        read_answers(path, {})
    assert all(row.correct for row in read_answers(path, {"metric": ["mood/judge"]}).rows)
    only_one = write_jsonl(tmp_path / "one.jsonl", every_eval_ever_rows())
    with pytest.raises(BenchmarkError, match="--metric mood"):  # another metric would be compared unnoticed
        read_answers(only_one, {"metric": ["acc"]})


def changed(rows: list[dict[str, Any]], row: int, **values: Any) -> list[dict[str, Any]]:
    return [*rows[: row - 1], rows[row - 1] | values, *rows[row:]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (changed(lm_eval_rows(), 4, exact_match=0.5), "row 4: 'exact_match' is 0.5"),
        (changed(lm_eval_rows(), 4, exact_match=[1, 0]), "row 4"),
        (changed(lm_eval_rows(), 2, arguments=None), "row 2"),
        (changed(lm_eval_rows(), 5, doc_id=0, doc_hash=f"{0:064x}"), "row 5: the id"),
        (changed(every_eval_ever_rows(), 3, evaluation={"score": 0.4, "is_correct": False}), "row 3: 'score' is 0.4"),
        (changed(every_eval_ever_rows(), 3, evaluation={"score": 1.0, "is_correct": False}), "row 3: is_correct"),
        (changed(every_eval_ever_rows(), 2, model_id="a-lab/other"), "a-lab/a-model, a-lab/other"),
        (changed(label_rows(), 6, id="row-1"), "row 6: the id 'row-1' is also that of"),
        (changed(label_rows(), 6, predicted=None), "row 6: 'predicted' is None"),
        (changed(label_rows(), 6, predicted=1.0), "row 6: 'predicted' is 1.0"),
        (changed(label_rows(), 6, gold=" ", predicted=""), "row 6: there is no gold label"),
        ([{"gold": row["gold"]} for row in label_rows()], "no column 'predicted'"),
        ([row | {"label": "calm"} for row in label_rows()], "gold, label"),
        ([{"instruction": "", "input": text, "output": "calm"} for text in TEXTS], "no column 'predicted'"),
        (label_rows(["0", "1", "2", "1", "0", "1"]), "no value of 'predicted' is a value of 'gold'"),
        (["calm"], "row 1: this is not a JSON object"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(BenchmarkError) as refused:
        read_answers(write_jsonl(tmp_path / "answers.jsonl", rows), {})
    assert said in refused.value.problem
    assert str(tmp_path / "answers.jsonl") in refused.value.problem
    assert refused.value.fix


def test_a_fractional_score_in_parquet_is_refused_with_its_row(tmp_path: Path) -> None:
    rows = [
        row | {"metric": {"f1": value}} for row, value in zip(lighteval_rows(), [1.0, 0.5, 0, 1, 1, 1], strict=True)
    ]
    with pytest.raises(BenchmarkError, match="row 2: 'f1' is 0.5"):
        read_answers(write_parquet(tmp_path / "details.parquet", rows), {})


def test_several_correct_choices_are_one_gold_answer(tmp_path: Path) -> None:
    rows = [row | {"doc": row["doc"] | {"gold_index": [0, 2]}} for row in lighteval_rows()]
    assert read_answers(write_parquet(tmp_path / "d.parquet", rows), {}).rows[0].gold == "calm | tense"


def test_a_reference_is_an_answer_or_the_number_of_a_choice(tmp_path: Path) -> None:
    numbered = write_jsonl(tmp_path / "a.jsonl", every_eval_ever_rows())
    inputs = [{"raw": text, "reference": [gold]} for text, gold in zip(TEXTS, GOLD, strict=True)]
    rows = [row | {"input": given} for row, given in zip(every_eval_ever_rows(), inputs, strict=True)]
    for path in (numbered, write_jsonl(tmp_path / "b.jsonl", rows)):
        assert tuple(row.gold for row in read_answers(path, {}).rows) == GOLD


def test_case_matters_only_where_labels_differ_by_it(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "a.csv", label_rows([label.upper() for label in PREDICTED]))
    assert tuple(row.correct for row in read_answers(plain, {}).rows) == CORRECT
    by_case = write_csv(tmp_path / "b.csv", label_rows(["A", "a", "A"], ["A", "a", "a"]))
    assert [row.correct for row in read_answers(by_case, {}).rows] == [True, True, False]


def test_the_unicode_form_of_a_label_does_not_matter(tmp_path: Path) -> None:
    composed, decomposed = "fr\N{LATIN SMALL LETTER O WITH DIAERESIS}h", "fro\N{COMBINING DIAERESIS}h"
    both = write_csv(tmp_path / "a.csv", label_rows([decomposed, "a", "a"], [composed, "a", composed]))
    assert [row.correct for row in read_answers(both, {}).rows] == [True, True, False]


def test_predictions_that_are_no_label_are_counted(tmp_path: Path) -> None:
    rows = llama_factory_rows([*PREDICTED[:4], "tense and glad", ""])
    assert read_answers(write_jsonl(tmp_path / "generated_predictions.jsonl", rows), {}).unknown == 2


@pytest.mark.parametrize("name", ["answers.txt", "answers"])
def test_other_kinds_of_file_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("calm")
    with pytest.raises(BenchmarkError, match=r"\.csv, \.tsv, \.jsonl, \.json, \.parquet"):
        read_answers(tmp_path / name, {})
