"""Predictions made elsewhere are evaluated unchanged, or refused with file and row."""

import json
from pathlib import Path

import numpy as np
import pytest

from baselines.external import ExternalClassifier
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, FitContext, Predictions
from benchmark.run.compose import composed

LABELS = ("sadness", "joy", "love")


def predictions_of(path: Path, rows: int) -> Predictions:
    classifier = ExternalClassifier(str(path))
    empty = Examples((), (), np.array([], dtype=np.int64))
    classifier.fit(empty, empty, FitContext(LABELS, composed([]).recipe, 0, Path()))
    return classifier.predict(["text"] * rows)


def test_answers_match_labels_ignoring_case_and_surrounding_space(tmp_path: Path) -> None:
    path = tmp_path / "generated_predictions.jsonl"
    path.write_text(
        '{"prompt": "p", "predict": " Joy\\n", "label": "joy"}\n'
        '{"prompt": "p", "predict": "happiness", "label": "joy"}\n'
        '{"prompt": "p", "predict": "love", "label": "love"}\n'
    )
    predictions = predictions_of(path, 3)
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
def test_csv_and_json_are_read(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert predictions_of(tmp_path / name, 2).predicted.tolist() == [1, 2]


@pytest.mark.parametrize("ids", [("test-0", "test-1"), ("b", "a"), (2, 1), ([1], [0]), (None, None), (None, "test-1")])
def test_ids_in_order_and_ids_of_another_kind_are_accepted(ids: tuple[object, object], tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps([{"id": ids[0], "predict": "joy"}, {"id": ids[1], "predict": "love"}]))
    assert predictions_of(path, 2).predicted.tolist() == [1, 2]


def test_unicode_line_separators_in_an_answer_do_not_end_the_row(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"predict": "joy\u2028or\x85love"}\n{"predict": "love"}\n', encoding="utf-8")
    assert predictions_of(path, 2).generated == ("joy\u2028or\x85love", "love")


def test_probabilities_in_the_file_are_used(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("predict,p_sadness,p_joy,p_love\njoy,0.2,0.5,0.3\n")
    np.testing.assert_allclose(predictions_of(path, 1).probabilities, [[0.2, 0.5, 0.3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.jsonl", '{"predict": "joy"}\n', "1 predictions for 2 test rows"),
        ("a.jsonl", '{"predict": "joy"}\n{"label": "joy"}\n', "row 2 has no answer"),
        ("a.jsonl", '{"predict": 1}\n{"predict": 2}\n', "none of the 2 answers .* .first: '1'."),
        ("a.csv", "predict\nhappiness\nmirth\n", "none of the 2 answers"),
        ("a.jsonl", '{"predict": "joy"\n', "malformed"),
        ("a.json", '{"predict": "joy"}', "list of objects"),
        ("a.txt", "joy\njoy\n", "not a supported file"),
        ("a.csv", "predict,p_sadness,p_joy,p_love\njoy,0.2,0.5,0.3\njoy,x,0.5,0.3\n", "p_<label>"),
        ("a.jsonl", "", "list of objects"),
        ("a.json", "[" * 100_000, "malformed"),
        ("a.csv", "id,predict\n7,joy\n7,joy\n", "row 2: the id '7' is also that of row 1"),
        (
            "a.jsonl",
            '{"id": "test-1", "predict": "joy"}\n{"id": "test-0", "predict": "love"}\n',
            "row 1: the id 'test-1' should be 'test-0'",
        ),
        (
            "a.json",
            '[{"id": "test-0", "predict": "joy"}, {"id": "test-2", "predict": "love"}]',
            "row 2: the id 'test-2' should be 'test-1'",
        ),
    ],
)
def test_an_unsuitable_file_is_refused_with_its_name_and_row(
    tmp_path: Path, name: str, content: str, named: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BenchmarkError, match=f"{name}.*{named}") as refusal:
        predictions_of(tmp_path / name, 2)
    assert refusal.value.fix
