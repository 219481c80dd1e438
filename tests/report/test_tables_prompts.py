"""The table of models that are asked and not trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import FIT, GOLD, LABELS, a_record, analysis_of, answers, examples, publish, rows_of

from benchmark.interface import Prompting
from benchmark.report.tables import all_tables, prompts
from benchmark.results import store
from benchmark.results.record import RunRecord, sha256
from benchmark.results.store import Run

OTHER = {"name": "question", "user": "{text}?", "system": None, "example": None}


def asked(seed: int = 0, shots: int = 6, prompt: str = "study") -> RunRecord:
    """The record of a run with examples in its prompts, on some of the test rows."""
    given = ["model.train=false", f"model.shots={shots}", "dataset.test_rows=10"]
    record = a_record("smollm2_lora", *given, seed=seed, fit=replace(FIT, trained_parameters=0, training_seconds=None))
    if prompt != "study":
        record.config.model.parameters["prompt"] = OTHER
    assert record.card is not None
    title = replace(record.config.model, title="SmolLM2-135M")
    card = replace(record.card, readout=None, prompting=Prompting(shots, prompt, "sum"))
    return replace(record, config=replace(record.config, model=title), card=card, digest=f"{seed}{shots}{prompt}" * 4)


def publish_asked(folder: Path, record: RunRecord, wrong: int, wrong_by_mean: int) -> Run:
    """Write the run with so many errors, and so many by the other score."""
    predicted, other = (
        [(label + (row < errors)) % 6 for row, label in enumerate(GOLD)] for errors in (wrong, wrong_by_mean)
    )
    predictions = replace(answers(predicted), other_scores={"mean": np.array(other)})
    content = store.encode_predictions(examples(GOLD), predictions, LABELS)
    return store.write(folder, replace(record, predictions_sha256=sha256(content), predicted_rows=10), content)


def test_the_spread_is_over_draws_and_over_prompts(tmp_path: Path) -> None:
    runs = [
        publish_asked(tmp_path, asked(seed=0), 1, 2),
        publish_asked(tmp_path, asked(seed=1), 3, 4),
        publish_asked(tmp_path, asked(seed=0, prompt="question"), 4, 4),
        publish_asked(tmp_path, asked(seed=0, shots=0), 5, 5),
        publish_asked(tmp_path, asked(seed=1, shots=0), 5, 5),
    ]
    none, other, study, both = rows_of(prompts.PROMPTS.data(analysis_of(*runs)))
    assert [none["prompt"], other["prompt"], study["prompt"], both["prompt"]] == ["study", "question", "study", "all 2"]
    assert (none["shots"], none["draws"], none["accuracy"], none["accuracy_draws"]) == (0, None, 0.5, None)
    assert (study["draws"], study["accuracy"], study["accuracy_other"]) == (2, pytest.approx(0.8), pytest.approx(0.7))
    assert study["accuracy_draws"] == pytest.approx(0.1 * np.sqrt(2))
    assert (study["lowest"], study["highest"]) == (0.7, 0.9)
    assert (other["draws"], other["accuracy"], other["accuracy_draws"]) == (1, pytest.approx(0.6), None)
    assert both["accuracy"] == pytest.approx(0.7)
    assert both["accuracy_prompts"] == pytest.approx(0.1 * np.sqrt(2))
    assert (both["lowest"], both["highest"], both["configuration"]) == (0.6, 0.9, None)
    assert both["macro_f1"] == pytest.approx((study["macro_f1"] + other["macro_f1"]) / 2)


def test_the_models_title_is_as_short_as_in_other_tables(tmp_path: Path) -> None:
    record = asked()
    model = replace(record.config.model, title="SmolLM2 (135M instruct)")
    record = replace(record, config=replace(record.config, model=model))
    (row,) = rows_of(prompts.PROMPTS.data(analysis_of(publish_asked(tmp_path, record, 1, 1))))
    assert row["model"] == "SmolLM2"


def test_a_row_says_how_the_model_was_asked_and_no_training(tmp_path: Path) -> None:
    record = asked()
    (configuration,) = analysis_of(publish_asked(tmp_path, record, 1, 1)).configurations.to_dict("records")
    assert configuration["short_name"] == "SmolLM2-135M, 6-shot, prompt study, 10 test texts"
    assert configuration["training_seconds"] is None
    assert "not trained" in str(configuration["status"])


def test_a_decoder_that_was_trained_makes_no_table_of_prompts(tmp_path: Path) -> None:
    tables = all_tables(analysis_of(publish(tmp_path, a_record("smollm2_lora"))))
    assert "prompts" not in {table.name for table in tables}
