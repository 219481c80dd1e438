"""Predictions made elsewhere are evaluated unchanged, or refused with file and row."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.external import ExternalClassifier
from benchmark.configuration.compose import compose
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, FitContext, Predictions

LABELS = ("sadness", "joy", "love")
TEXTS = ("i feel fine", "oh well", "i feel fine today")
GOLD = [1, 2, 1]


def scored(path: Path, rows: int = 2, words: tuple[str, ...] = ()) -> tuple[dict[str, int], Predictions]:
    """What the answers were matched by, and the predictions for the first `rows` test rows."""
    classifier = ExternalClassifier(str(path))
    test = Examples(tuple(f"test-{row}" for row in range(rows)), TEXTS[:rows], np.array(GOLD[:rows]))
    context = FitContext(LABELS, compose([]).recipe, 0, Path(), label_words=words)
    classifier.fit(test, test, context)
    return classifier.match(test, context), classifier.predict(test.texts)


def predictions_of(path: Path, rows: int = 2) -> Predictions:
    return scored(path, rows)[1]


def test_answers_match_labels_ignoring_case_and_surrounding_space(tmp_path: Path) -> None:
    path = tmp_path / "generated_predictions.jsonl"
    answers = [" Joy\n", "happiness", "love"]
    path.write_text("".join(json.dumps({"predict": answer}) + "\n" for answer in answers))
    matched, predictions = scored(path, 3)
    assert matched == {"order alone": 3}
    assert predictions.predicted.tolist() == [1, -1, 2]
    assert predictions.generated == tuple(answers)
    np.testing.assert_allclose(predictions.probabilities, [[0, 1, 0], [1 / 3] * 3, [0, 0, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("answers.csv", "id,prediction\n1,joy\n2,love\n"),
        ("answers.json", '[{"predicted": "joy"}, {"prediction": "love"}]'),
        ("answers.json", '{"data": [{"predicted": "joy"}, {"prediction": "love"}]}'),
        ("answers.json", '[{"Predict": "joy", "output": "joy"}, {"predict": "love", "prediction": 2}]'),
    ],
)
def test_csv_and_json_are_read(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert predictions_of(tmp_path / name).predicted.tolist() == [1, 2]


def test_an_answer_that_is_null_is_refused_with_how_to_say_that_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"predict": "joy"}\n{"predict": null}\n')
    with pytest.raises(BenchmarkError, match="row 2 has no answer") as refused:
        predictions_of(path)
    assert "'' if the model gave none" in str(refused.value.fix)
    path.write_text('{"predict": "joy"}\n{"predict": ""}\n')
    assert predictions_of(path).predicted.tolist() == [1, -1]


def test_a_counter_is_not_taken_for_the_gold_label(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"predict": word, "attempt": "joy"}) + "\n" for word in ("joy", "love")))
    matched, _ = scored(path)
    assert matched == {"order alone": 2}


def test_a_decoders_word_for_a_label_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("predict\nhappy\nlove\n")
    _, predictions = scored(tmp_path / "answers.csv", words=("sad", "happy", "love"))
    assert predictions.predicted.tolist() == [1, 2]


def test_an_answer_may_have_another_unicode_form_than_the_label() -> None:
    """macOS and some exporters write an accent as a character of its own."""
    predictions = Predictions.from_answers(["cafe\u0301", "the\u0301"], ["th\u00e9", "caf\u00e9"])
    assert predictions.predicted.tolist() == [1, 0]


JOY, LOVE = {"predict": "joy"}, {"predict": "love"}
CHAT = "<|user|>Which feeling?\n{}<|assistant|>"


@pytest.mark.parametrize(
    ("rows", "matched"),
    [
        ([LOVE | {"id": "test-1"}, JOY | {"id": "test-0"}], "id"),
        ([LOVE | {"id": 1}, JOY | {"id": 0}], "id"),
        ([LOVE | {"id": "2"}, JOY | {"id": "1"}], "id"),
        ([LOVE | {"index": 1}, JOY | {"index": 0}], "id"),
        ([LOVE | {"Unnamed: 0": "1"}, JOY | {"Unnamed: 0": "0"}], "id"),
        ([LOVE | {"": "1"}, JOY | {"": "0"}], "id"),
        ([LOVE | {"ID": 1.0}, JOY | {"ID": 0.0}], "id"),
        ([LOVE | {"Example_ID": "1.0"}, JOY | {"Example_ID": "0.0"}], "id"),
        ([LOVE | {"id": "row_1"}, JOY | {"id": "row_0"}], "id"),
        ([LOVE | {"tweet": TEXTS[1].upper()}, JOY | {"tweet": TEXTS[0]}], "prompt"),
        ([LOVE | {"doc": {"text": TEXTS[1]}}, JOY | {"doc": {"text": TEXTS[0]}}], "prompt"),
        ([LOVE | {"messages": [{"content": TEXTS[1]}]}, JOY | {"messages": [{"content": TEXTS[0]}]}], "prompt"),
        ([JOY | {"meta": {"labels": ["joy"]}}, LOVE | {"meta": {"labels": ["love"]}}], "label"),
        ([LOVE | {"uid": "test-1"}, JOY | {"uid": "test-0"}], "id"),
        ([JOY | {"y_true": 1.0}, LOVE | {"true_label": "love"}], "label"),
        ([LOVE | {"id": "a", "idx": 1}, JOY | {"id": "b", "idx": 0}], "id"),
        ([LOVE | {"text": TEXTS[1]}, JOY | {"text": TEXTS[0]}], "prompt"),
        ([LOVE | {"prompt": CHAT.format(TEXTS[1])}, JOY | {"prompt": CHAT.format(TEXTS[0])}], "prompt"),
        ([LOVE | {"instruction": "?", "input": TEXTS[1]}, JOY | {"instruction": "?", "input": TEXTS[0]}], "prompt"),
        ([JOY | {"prompt": f"i said: {TEXTS[0]}"}, LOVE | {"prompt": f"and now {TEXTS[1]}\n"}], "prompt"),
        ([JOY | {"label": "Joy"}, LOVE | {"label": 2}], "label"),
        ([JOY | {"output": "joy"}, LOVE | {"answer": "love"}], "label"),
        ([JOY | {"emotion": "Joy"}, LOVE | {"emotion": "love"}], "label"),
        ([JOY | {"class": 1}, LOVE | {"class": 2}], "label"),
        ([JOY | {"class": "1", "bert_pred": "sadness"}, LOVE | {"class": "1", "bert_pred": "joy"}], "order alone"),
        ([JOY | {"id": "b"}, LOVE | {"id": "a"}], "order alone"),
        ([JOY | {"id": 20}, LOVE | {"id": 10}], "order alone"),
        ([JOY | {"id": [1]}, LOVE | {"id": None, "prompt": "", "label": None}], "order alone"),
    ],
)
def test_rows_are_matched_by_what_they_state_and_sorted(rows: list[Any], matched: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(rows))
    by, predictions = scored(path)
    assert by == {matched: 2}
    assert predictions.predicted.tolist() == [1, 2]


def test_every_row_counts_by_its_strongest_evidence(tmp_path: Path) -> None:
    rows = [JOY | {"label": "joy"}, LOVE | {"id": "test-1", "label": "love"}, JOY | {"text": TEXTS[2], "label": 1}]
    (tmp_path / "answers.json").write_text(json.dumps(rows))
    assert scored(tmp_path / "answers.json", 3)[0] == {"id": 1, "prompt": 1, "label": 1}


def test_unicode_line_separators_in_an_answer_do_not_end_the_row(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"predict": "joy\u2028or\x85love"}\n{"predict": "love"}\n', encoding="utf-8")
    assert predictions_of(path).generated == ("joy\u2028or\x85love", "love")


@pytest.mark.parametrize(
    ("written", "read"), [("0.2,0.5,0.3", [0.2, 0.5, 0.3]), ("0.2,0.49,0.3", [0.202, 0.495, 0.303])]
)
def test_probabilities_are_used_and_rounded_ones_divided_by_their_sum(
    written: str, read: list[float], tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(f"predict,p_sadness,P_Joy,p_love,probability\njoy,{written},0.5\n")
    np.testing.assert_allclose(predictions_of(path, 1).probabilities, [read], atol=5e-4)
    predictions_of(path, 1).check(1, 3)


def test_zeros_are_no_probabilities_of_many_labels(tmp_path: Path) -> None:
    labels = tuple(f"label{number}" for number in range(201))
    path, columns = tmp_path / "answers.csv", ",".join(f"p_{label}" for label in labels)
    path.write_text(f"predict,{columns}\nlabel0{',0' * len(labels)}\n")
    test, classifier = Examples(("test-0",), ("a",), np.array([0])), ExternalClassifier(str(path))
    context = FitContext(labels, compose([]).recipe, 0, Path())
    classifier.fit(test, test, context)
    with pytest.raises(BenchmarkError, match="row 2: .* the sum 0"):
        classifier.match(test, context)


GRADED = {"predict": "joy", "p_sadness": 0.2, "p_joy": 0.5, "p_love": 0.3}
PROBABILITIES = "predict,p_sadness,p_joy,p_love\njoy,0.2,0.5,0.3\n"
INSTRUCTIONS = json.dumps(
    [{"instruction": "?", "input": text, "output": "joy", "model_output": "joy"} for text in TEXTS[:2]]
)
REFUSED = {
    "gold in an instruction file": ("a.json", INSTRUCTIONS, "row 1 has no answer .*output. holds the gold"),
    "too few rows": ("a.jsonl", '{"predict": "joy"}\n', "1 predictions for 2 test rows"),
    "no answer": ("a.jsonl", '{"predict": "joy"}\n{"label": "joy"}\n', "row 2 has no answer"),
    "output is gold": (
        "a.json",
        '[{"output": "joy"}, {"output": "love"}]',
        "row 1 has no answer .'output' holds the gold",
    ),
    "two answers": ("a.json", '[{"predict": "joy", "prediction": "love"}, {"predict": "joy"}]', "row 1 has several"),
    "ids as answers": ("a.jsonl", '{"predict": 1}\n{"predict": 2}\n', "row 1: the answer is 1"),
    "ids in CSV": ("a.csv", "predict\n1\n2\n", "none of the 2 answers .* .first: '1'."),
    "other words": ("a.csv", "predict\nhappiness\nmirth\n", "none of the 2 answers"),
    "an unquoted comma": ("a.csv", "id,predict\n0,joy, of course\n1,love\n", "row 2: the number of fields differs"),
    "JSON cut short": ("a.jsonl", '{"predict": "joy"\n', "row 1: the JSON is invalid"),
    "no list": ("a.json", '{"predict": "joy"}', "not a list"),
    "a format of no columns": ("a.txt", "joy\njoy\n", "not a supported file"),
    "nothing": ("a.jsonl", "", "is empty"),
    "deep nesting": ("a.json", "[" * 100_000, "the JSON is invalid"),
    "an id twice": ("a.csv", "id,predict\n7,joy\n7,joy\n", "row 3: the id '7' is also that of .*a.csv, row 2"),
    "an id of no test row": ("a.csv", "id,predict\ntest-0,joy\ntest-2,love\n", "row 3: the id 'test-2' is not"),
    "an id of another row": ("a.json", '[{"predict": "joy"}, {"id": "test-0", "predict": "love"}]', "row 2: its id"),
    "an id of another split": ("a.csv", "id,predict\nvalidation-0,joy\nvalidation-1,love\n", "row 2: the id 'valid"),
    "shuffled numbers of a whole data set": ("a.csv", "id,predict\n101,joy\n100,love\n", "row 2: 'id' is 101"),
    "a column twice": ("a.csv", "predict,predict\njoy,love\njoy,love\n", "header: a column occurs more than once"),
    "a key twice": ("a.jsonl", '{"predict": "joy", "predict": "love"}\n' * 2, "row 1: a column occurs more than once"),
    "another prompt": ("a.json", '[{"prompt": "x", "predict": "joy"}, {"predict": "joy"}]', "row 1: the prompt"),
    "a repeated prompt": ("a.csv", "text,predict\ni feel fine,joy\ni feel fine,joy\n", "row 3: the prompt"),
    "ids against prompts": ("a.csv", "id,text,predict\n1,i feel fine,joy\n0,oh well,joy\n", "row 3: the prompt"),
    "another gold label": ("a.csv", "predict,label\njoy,joy\njoy,sadness\n", "row 3: 'label' is 'sadness'"),
    "another gold id": ("a.csv", "predict,label\njoy,1\njoy,0\n", "row 3: 'label' is '0'"),
    "shuffled gold under another key": ("a.csv", "predict,answer\njoy,love\nlove,joy\n", "row 2: 'answer' is 'love'"),
    "shuffled gold ids": ("a.csv", "predict,y\njoy,2\nlove,1\n", "row 2: 'y' is '2'"),
    "names in an unknown column": ("a.csv", "predict,mood\njoy,joy\nlove,sadness\n", "row 3: 'mood' is 'sadness'"),
    "gold labels in a list": (
        "a.json",
        '[{"predict": "joy", "label": ["love"]}, {"predict": "joy", "label": ["joy"]}]',
        "row 1: 'label.0' is 'love'",
    ),
    "columns that differ in case": ("a.csv", "predict,Predict\njoy,love\njoy,love\n", "header: a column occurs more"),
    **{
        f"probabilities in {column}": (
            "a.json",
            json.dumps([{"predict": "joy"}, {"predict": "joy", column: value}]),
            f"row 2: the column '{re.escape(column)}[.\\w]*' holds",
        )
        for column, value in {
            **dict.fromkeys(("prob_joy", "joy", "score joy", "joy_proba", "p_anger", "p_0", "prob1", "logits.2"), 0.2),
            "probabilities": [0.2, 0.5, 0.3],
            "scores": {"joy": 1.0},
            "probs": "[0.2, 0.5, 0.3]",
        }.items()
    },
    "numbers after a word": (
        "a.csv",
        "predict,score_joy\njoy,n/a\njoy,0.5\n",
        "row 3: the column 'score_joy' holds '0.5'",
    ),
    "a nested key twice": ("a.json", '[{"predict": "joy", "a": {"b": 1}, "a.b": 2}]', "row 1: 'a.b' has two values"),
    "probabilities in some rows": ("a.json", f'[{{"predict": "joy"}}, {json.dumps(GRADED)}]', "row 1 has no p_sadness"),
    "a word as probability": ("a.csv", f"{PROBABILITIES}joy,x,0.5,0.3\n", "row 3: p_<label>"),
    "a missing probability": ("a.csv", "predict,p_sadness,p_joy\njoy,0.2,0.8\njoy,0.2,0.8\n", "row 2 has no p_love"),
    "percentages": ("a.csv", f"{PROBABILITIES}joy,20,50,30\n", "row 3: .* the sum 100"),
    "not a number": ("a.csv", f"{PROBABILITIES}joy,nan,0.5,0.3\n", "row 3: .* the sum nan"),
    "a negative probability": ("a.csv", f"{PROBABILITIES}joy,-0.1,0.8,0.3\n", "row 3: the probabilities"),
    "columns in another order": (
        "a.csv",
        f"{PROBABILITIES}joy,0.5,0.2,0.3\n",
        "row 3: the answer is 'joy', .* 'sadness'",
    ),
}


@pytest.mark.parametrize(("name", "content", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_an_unsuitable_file_is_refused_with_its_name_and_row(
    tmp_path: Path, name: str, content: str, named: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BenchmarkError, match=f"{name}.*{named}") as refusal:
        predictions_of(tmp_path / name)
    assert refusal.value.fix


@pytest.mark.parametrize("column", ["Unnamed: 0", "__index_level_0__"])
def test_ids_are_not_probabilities_of_labels_that_are_numbers(column: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(f"{column},predict\n1,0\n0,1\n")
    test, classifier = Examples(("test-0", "test-1"), TEXTS[:2], np.array([1, 0])), ExternalClassifier(str(path))
    context = FitContext(("0", "1"), compose([]).recipe, 0, Path())
    classifier.fit(test, test, context)
    assert classifier.match(test, context) == {"id": 2}
    assert classifier.predict(test.texts).predicted.tolist() == [1, 0]


def test_ids_decide_where_equal_texts_have_different_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    rows = [{"id": f"test-{row}", "text": ["same", "other", "same"][row]} for row in (1, 0, 2)]
    path.write_text(json.dumps([row | answer for row, answer in zip(rows, (LOVE, JOY, LOVE), strict=True)]))
    test = Examples(("test-0", "test-1", "test-2"), ("same", "other", "same"), np.array([1, 2, 2]))
    classifier, context = ExternalClassifier(str(path)), FitContext(LABELS, compose([]).recipe, 0, Path())
    classifier.fit(test, test, context)
    assert classifier.match(test, context) == {"id": 3}
    assert classifier.predict(test.texts).predicted.tolist() == [1, 2, 2]


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_the_whole_test_split_name_the_rows_of_a_part(first: int, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(f"id,predict\n{first + 5},love\n{first},joy\n")
    test = Examples(("test-0", "test-5"), TEXTS[:2], np.array(GOLD[:2]))
    classifier, context = ExternalClassifier(str(path)), FitContext(LABELS, compose([]).recipe, 0, Path())
    classifier.fit(test, test, context)
    assert classifier.match(test, context) == {"id": 2}
    assert classifier.predict(test.texts).predicted.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("ids", "columns", "said"),
    [
        (("test-0", "test-1", "test-2"), {"text": ("b", "a", "a")}, "row 3: .* occurs twice"),
        (("test-0", "test-1", "test-2"), {"line": (3, 1, 2)}, "row 1: 'line' is 3"),
        (("test-0", "test-2", "test-3"), {}, "row 1: nothing says which test row"),
        (("test-0", "test-2", "test-3"), {"id": (0, 1, 2)}, "row 1: nothing says which test row"),
    ],
)
def test_what_may_belong_to_other_rows_is_refused(
    ids: tuple[str, ...], columns: dict[str, tuple[Any, ...]], said: str, tmp_path: Path
) -> None:
    """Equal texts with different answers; numbers that may be ids; rows of a part of the split in their order alone."""
    path, answers = tmp_path / "answers.json", (LOVE, JOY, LOVE)
    rows = [answer | {name: values[row] for name, values in columns.items()} for row, answer in enumerate(answers)]
    path.write_text(json.dumps(rows))
    classifier = ExternalClassifier(str(path))
    test = Examples(ids, ("a", "a", "b"), np.array([1, 1, 2]))
    context = FitContext(LABELS, compose([]).recipe, 0, Path())
    classifier.fit(test, test, context)
    with pytest.raises(BenchmarkError, match=said):
        classifier.match(test, context)
