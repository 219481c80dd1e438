"""The table and the figure of the same models on several data sets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from factories import FIT, RANDOM_FIT, a_record, analysis_of, publish_many, rows_of, words, wrong_at

from benchmark.report.data_set_leads import leads_by_data_set
from benchmark.report.figures.across_data_sets import data_sets
from benchmark.report.style import NARROW
from benchmark.report.tables import all_tables
from benchmark.report.tables.data_sets import DATA_SETS
from benchmark.results.record import RunRecord
from benchmark.results.store import Run


def made(folder: Path, model: str, dataset: str, wrong: int, recipe: str = "paper", validation: float = 0.5) -> Run:
    """A run with `wrong` errors of 200 and this validation accuracy."""
    point = replace(FIT.curve[-1], validation_accuracy=validation)
    fit = None if model == "tfidf" else replace(FIT, curve=(point,))
    return publish_many(
        folder, a_record(model, f"recipe.name={recipe}", dataset=dataset, fit=fit), wrong_at(range(wrong))
    )


def test_a_network_below_tfidf_is_not_denied(tmp_path: Path) -> None:
    wrong = {("tfidf", "emotion"): 50, ("minilm", "emotion"): 20, ("tfidf", "reviews"): 20, ("minilm", "reviews"): 40}
    analysis = analysis_of(*(made(tmp_path, *of, number) for of, number in wrong.items()))
    gains = leads_by_data_set(all_tables(analysis), "emotion")["gains"]
    assert gains == [
        "0.1500 on emotion (MiniLM-L6; the only network tested)",
        "0.0000 on reviews (TF-IDF + logistic regression)",
    ]


def test_each_model_has_its_best_configuration_on_the_validation_split(tmp_path: Path) -> None:
    runs = [
        made(tmp_path, "tfidf", "emotion", 50),
        made(tmp_path, "minilm", "emotion", 20, "paper", validation=0.9),
        made(tmp_path, "minilm", "emotion", 10, "tuned", validation=0.8),  # better on the test split only
        made(tmp_path, "tfidf", "reviews", 20),
        made(tmp_path, "minilm", "reviews", 40),
        made(tmp_path, "minilm", "letters", 40),
    ]
    rows = rows_of(DATA_SETS.data(analysis_of(*runs)))
    found = [(row["dataset"], row["name"], row["accuracy"], row["gain"] and round(row["gain"], 4)) for row in rows]
    assert found == [
        ("emotion", "minilm", 0.9, 0.15),
        ("emotion", "tfidf", 0.75, 0),
        ("reviews", "tfidf", 0.9, 0),
        ("reviews", "minilm", 0.8, -0.1),
        ("letters", "minilm", 0.8, None),
    ]
    assert (rows[0]["labels"], rows[0]["train_rows"], rows[0]["seeds"]) == (6, 140, 1)
    figure = data_sets(analysis_of(*runs), "")
    assert figure is not None
    assert "reviews\n140 training texts, 6 labels" in words(figure)
    assert figure.get_label() == (
        f"Of the models drawn, the most accurate is {rows[0]['model']} on emotion (0.9000) and letters (0.8000) and "
        f"{rows[1]['model']} on reviews (0.9000). "
        "Networks drawn: one on emotion, one on reviews and one on letters."
    )
    narrow = data_sets(analysis_of(*runs), "", width=NARROW)
    assert narrow is not None
    assert "reviews: 140 training texts, 6 labels" in words(narrow)
    drawn = [line for line in figure.axes[0].get_lines() if not str(line.get_label()).startswith("_")]
    assert [line.get_label() for line in drawn] == [rows[0]["model"], rows[1]["model"]]
    assert np.asarray(drawn[0].get_xdata()).tolist() == [0.9, 0.8, 0.8]
    with_one_more = data_sets(analysis_of(*runs, made(tmp_path, "bert_base", "reviews", 0)), "")
    assert with_one_more is not None
    assert "BERT base" not in [text.get_text() for text in with_one_more.legends[0].get_texts()]


def with_words(record: RunRecord, mean: float) -> RunRecord:
    assert record.data is not None
    test = replace(record.data.splits["test"], words=mean)
    return replace(record, data=replace(record.data, splits=record.data.splits | {"test": test}))


def test_the_length_of_texts_is_that_of_the_whole_test_split(tmp_path: Path) -> None:
    records = [a_record("tfidf"), a_record("tfidf", "dataset.test_rows=1", seed=9), a_record("tfidf", dataset="mine")]
    runs = [
        publish_many(tmp_path, with_words(record, mean), wrong_at([]))
        for record, mean in zip(records, (20.0, 3.0, 10.0), strict=True)
    ]
    found = {row["dataset"]: row["words"] for row in rows_of(DATA_SETS.data(analysis_of(*runs)))}
    assert found == {"emotion": 20.0, "mine": 10.0}


def test_one_data_set_needs_neither_table_nor_figure(tmp_path: Path) -> None:
    analysis = analysis_of(made(tmp_path, "tfidf", "emotion", 5), made(tmp_path, "minilm", "emotion", 4))
    assert DATA_SETS.data(analysis).empty
    assert data_sets(analysis, "") is None


def test_runs_without_results_give_neither(tmp_path: Path) -> None:
    analysis = analysis_of(publish_many(tmp_path, a_record("minilm", fit=RANDOM_FIT), wrong_at(())))
    assert DATA_SETS.data(analysis).empty
