"""A run on changed test texts reads the kept model of the run on the unchanged ones, if there is one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import keep

from benchmark.config import RunConfig
from benchmark.data.load import load as load_data
from benchmark.errors import BenchmarkError
from benchmark.predict import load
from benchmark.report.verification import check
from benchmark.run import runner

Compose = Callable[..., RunConfig]
CHANGED = "dataset.perturb=uppercase"


@pytest.mark.parametrize("model", ["tfidf", "tiny_bert"])
def test_the_kept_model_answers_the_changed_texts(model: str, compose_run: Compose, tmp_path: Path) -> None:
    own, folder, texts = keep(compose_run, tmp_path, f"model={model}")
    config = replace(own_config := compose_run(f"model={model}", CHANGED), models_dir=f"{tmp_path}/models")
    config = replace(config, recipe=own.record.config.recipe)
    changed = runner.run(config)
    expected = [
        list(answer.probabilities.values()) for answer in load(folder).predict([text.upper() for text in texts])
    ]
    np.testing.assert_allclose(changed.predictions.probabilities, expected, rtol=0, atol=1e-6)
    assert changed.record.fit is not None
    assert own.record.fit is not None
    assert changed.record.fit.saved_sha256 == own.record.fit.saved_sha256 is not None
    assert (changed.record.trained, changed.record.training_seconds) == (False, None)
    assert changed.record.stand_in == own.record.stand_in == ("random weights" if model == "tiny_bert" else None)
    assert (changed.record.dataset, changed.record.is_result) == ("synthetic-uppercase", False)
    assert [path.parent for path in (tmp_path / "models").rglob("record.json")] == [folder]
    assert [str(fault) for fault in check(Path(own_config.results_dir)).faults] == []


def test_without_a_kept_model_it_is_trained(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tfidf", "seed=1")
    config = compose_run("model=tfidf", CHANGED, f"models_dir={tmp_path}/models")
    record = runner.run(config).record
    assert (record.trained, record.data and record.data.perturbed_rows) == (True, len(load_data(config.dataset).test))
    assert [path.parent for path in (tmp_path / "models").rglob("record.json")] == [folder]


def test_a_damaged_record_of_another_kept_model_is_skipped_with_a_warning(
    compose_run: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own, folder, _ = keep(compose_run, tmp_path, "model=majority")
    damaged = folder.parent / "a" / "record.json"  # is read first
    damaged.parent.mkdir()
    damaged.write_text("{", encoding="utf-8")
    config = replace(compose_run("model=majority", CHANGED), recipe=own.record.config.recipe)
    assert not runner.run(replace(config, models_dir=f"{tmp_path}/models")).record.trained
    assert str(damaged) in caplog.text


def test_a_kept_model_that_was_changed_is_refused(compose_run: Compose, tmp_path: Path) -> None:
    keep(compose_run, tmp_path, "model=tfidf")
    _, other, _ = keep(compose_run, tmp_path / "other", "model=tfidf", "dataset.train_rows=50")
    [mine] = (tmp_path / "models/tfidf/synthetic").glob("*/model.npz")
    [theirs] = other.glob("model.npz")
    mine.write_bytes(theirs.read_bytes())
    config = compose_run("model=tfidf", CHANGED, "recipe.max_steps=6", "recipe.learning_rate=1e-2")
    with pytest.raises(BenchmarkError) as error:
        runner.run(replace(config, models_dir=f"{tmp_path}/models"))
    assert str(mine.parent) in error.value.problem
