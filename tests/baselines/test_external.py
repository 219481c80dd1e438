"""Predictions made elsewhere are scored as they stand, or refused with file and row."""

import json
from pathlib import Path

import numpy as np
import pytest

from baselines.external import ExternalClassifier
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, FitContext, Predictions
from benchmark.run.compose import composed

LABELS = ("sadness", "joy", "love")


def scored(path: Path, rows: int) -> Predictions:
    classifier = ExternalClassifier(str(path))
    empty = Examples((), (), np.array([], dtype=np.int64))
    classifier.fit(empty, empty, FitContext(LABELS, composed([]).recipe, 0, Path()))
    return classifier.predict(["text"] * rows)


def test_answers_of_llama_factory_are_stripped_lowered_and_matched(tmp_path: Path) -> None:
    path = tmp_path / "generated_predictions.jsonl"
    path.write_text(
        '{"prompt": "p", "predict": " Joy\\n", "label": "joy"}\n'
        '{"prompt": "p", "predict": "happiness", "label": "joy"}\n'
        '{"prompt": "p", "predict": "love", "label": "love"}\n'
    )
    predictions = scored(path, 3)
    assert predictions.predicted.tolist() == [1, -1, 2]
    assert predictions.generated == (" Joy\n", "happiness", "love")
    np.testing.assert_allclose(predictions.probabilities, [[0, 1, 0], [1 / 3] * 3, [0, 0, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("answers.csv", "id,prediction\n1,joy\n2,love\n"),
        ("answers.json", '[{"predicted": "joy"}, {"output": "love"}]'),
        ("answers.json", '[{"prediction": 1, "output": "joy"}, {"predict": "love", "prediction": 2}]'),
    ],
)
def test_csv_and_json_are_read_too(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert scored(tmp_path / name, 2).predicted.tolist() == [1, 2]


@pytest.mark.parametrize("ids", [("test-0", "test-1"), ("b", "a"), (2, 1), ([1], [0]), (None, None), (None, "test-1")])
def test_ids_in_order_or_of_another_kind_are_accepted(ids: tuple[object, object], tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps([{"id": ids[0], "predict": "joy"}, {"id": ids[1], "predict": "love"}]))
    assert scored(path, 2).predicted.tolist() == [1, 2]


def test_line_separators_within_an_answer_end_no_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"predict": "joy\u2028or\x85love"}\n{"predict": "love"}\n', encoding="utf-8")
    assert scored(path, 2).generated == ("joy\u2028or\x85love", "love")


def test_stated_probabilities_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("predict,p_sadness,p_joy,p_love\njoy,0.2,0.5,0.3\n")
    np.testing.assert_allclose(scored(path, 1).probabilities, [[0.2, 0.5, 0.3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"predict": "joy"}\n', "has 1 predictions for 2 test rows"),
        ("a.jsonl", '{"predict": "joy"}\n{"label": "joy"}\n', "row 2 has no answer"),
        (
            "a.jsonl",
            '{"predict": 1}\n{"predict": 2}\n',
            "none of the 2 answers is a label .first: '1'.; write the label",
        ),
        ("a.csv", "predict\nhappiness\nmirth\n", "none of the 2 answers is a label"),
        ("a.jsonl", '{"predict": "joy"\n', "malformed"),
        ("a.json", '{"predict": "joy"}', "one object with an answer for each test row"),
        ("a.txt", "joy\njoy\n", "must end in"),
        ("a.csv", "predict,p_sadness,p_joy,p_love\njoy,0.2,0.5,0.3\njoy,x,0.5,0.3\n", "p_<label> numbers"),
        ("a.jsonl", "", "one object"),
        ("a.json", "[" * 100_000, "malformed"),
        (
            "a.csv",
            "id,predict\n7,joy\n7,joy\n",
            "a.csv, row 2 has the id '7' of row 1; give each test row one answer.",
        ),
        (
            "a.jsonl",
            '{"id": "test-1", "predict": "joy"}\n{"id": "test-0", "predict": "love"}\n',
            "a.jsonl, row 1 has the id 'test-1' where 'test-0' belongs; sort the rows into the order of the test split",
        ),
        (
            "a.json",
            '[{"id": "test-0", "predict": "joy"}, {"id": "test-2", "predict": "love"}]',
            "a.json, row 2 has the id 'test-2' where 'test-1' belongs; sort",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BenchmarkError, match=message):
        scored(tmp_path / name, 2)
