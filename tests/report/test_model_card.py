"""The hub's client reads the model card, and its scores are those of the stored predictions."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import FIT, GOLD, RANDOM_FIT, a_record, answers, examples, files_below, publish
from huggingface_hub import ModelCard

from benchmark.errors import BenchmarkError
from benchmark.interface import AdapterSource, WeightSource
from benchmark.report import __main__ as report_command
from benchmark.report.__main__ import write_model_card
from benchmark.report.model_card import find_run, kept_card, model_card
from benchmark.results import store
from benchmark.results.record import Failure, Status
from benchmark.results.store import Run, read_all

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)


def test_the_hubs_client_reads_the_scores_of_the_run(tmp_path: Path) -> None:
    card = ModelCard(model_card(publish(tmp_path, a_record("minilm", seed=3), ONE_WRONG)))
    assert card.data.model_name == "minilm-emotion-paper-seed3"
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["accuracy"].metric_value == 0.9
    assert results["f1"].metric_value == pytest.approx((0.8 + 1 + 1 + 2 / 3 + 1 + 1) / 6, abs=1e-6)
    assert results["f1"].metric_args == {"average": "macro"}
    assert results["accuracy"].metric_args is None
    assert results["expected_calibration_error"].metric_value == pytest.approx(0.1)
    for result in results.values():
        place = (result.dataset_type, result.dataset_config, result.dataset_split, result.dataset_revision)
        assert place == ("dair-ai/emotion", "split", "test", "cab853a1dbdf4c42c2b3ef2173804746df8825fe")
    assert (card.data.license, card.data.language, card.data.datasets) == ("other", "en", "dair-ai/emotion")


@pytest.mark.parametrize(
    ("model", "base", "library", "code"),
    [
        ("roberta_base", "FacebookAI/roberta-base", "transformers", 'pipeline("text-classification"'),
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2", "transformers", 'pipeline("text-classification"'),
        ("llama3_lora", "meta-llama/Meta-Llama-3-8B-Instruct", "peft", "model=llama3_lora model.adapter=FOLDER"),
        ("smollm2_lora", None, "peft", "model=smollm2_lora model.adapter=FOLDER"),  # a quantised wheel has no hub id
        ("tfidf", None, "sklearn", None),
    ],
)
def test_base_model_library_and_code_are_those_of_the_model(
    model: str, base: str | None, library: str, code: str | None, tmp_path: Path
) -> None:
    text = model_card(publish(tmp_path, a_record(model)))
    data = ModelCard(text).data
    assert (data.base_model, data.library_name) == (base, library)
    assert code in text if code else "```" not in text


def test_the_code_of_a_record_without_any_is_the_shipped_models(tmp_path: Path) -> None:
    record = a_record("minilm")
    assert record.card is not None
    run = publish(tmp_path, replace(record, card=replace(record.card, usage=None)))
    assert 'pipeline("text-classification"' in model_card(run)
    own = publish(tmp_path, replace(record, card=replace(record.card, usage="my_code()")))
    assert "```python\nmy_code()\n```" in model_card(own)


def test_the_text_states_the_limits_of_the_scores(tmp_path: Path) -> None:
    text = model_card(publish(tmp_path, a_record("minilm", "dataset.train_rows=140"), ONE_WRONG))
    assert "10 test texts is 0.9000 (95% interval 0.5958 to 0.9821" in text  # Wilson's, as in Brown et al., 2001
    assert "reduced run: 140 training rows only" in text
    assert "1 test texts also occur in train, 1 of them with another label" in text
    assert "50 training texts are joy, 5 are surprise" in text
    assert "No licence is granted here" in text
    assert "| anger    |      1.0000 |   0.5000 | 0.6667 |         2 |" in text


def test_labels_that_look_like_numbers_are_written_as_they_are(tmp_path: Path) -> None:
    labels = ("0.5", "1.0", "1.50", "007", "1e3", "-2")
    record = replace(a_record("minilm", f"dataset.labels={json.dumps(labels)}"), predicted_rows=10)
    run = store.write(tmp_path, record, store.encode_predictions(examples(), answers(GOLD), labels))
    assert tuple(re.findall(r"^\| (\S+) +\| +1\.0000", model_card(run), re.MULTILINE)) == labels


def test_training_is_stated_for_models_that_follow_the_recipe(tmp_path: Path) -> None:
    text = model_card(publish(tmp_path, a_record("minilm")))
    assert "24 steps of 20 samples (3 epochs), fp32" in text
    assert "optimizer: adamw, learning rate 5e-05, cosine schedule, warm-up over 0.1 of the steps" in text
    assert "trained parameters: 10 of 1,000" in text
    assert "24 steps of 20 samples, fp32" in model_card(publish(tmp_path, a_record("minilm", "recipe.max_steps=24")))
    assert "optimizer" not in model_card(publish(tmp_path, a_record("tfidf")))


def test_numbers_that_a_model_does_not_state_are_left_out(tmp_path: Path) -> None:
    fit = replace(FIT, parameters=None, trained_parameters=None, effective_batch=None)
    text = kept_card(publish(tmp_path, a_record("minilm", fit=fit)))
    assert "24 steps (3 epochs), fp32" in text
    assert "trained parameters" not in text
    some = publish(tmp_path, a_record("minilm", seed=1, fit=replace(FIT, parameters=None)))
    assert "trained parameters: 10\n" in kept_card(some)


def test_pretrained_weights_that_were_only_scored_need_no_adapter(tmp_path: Path) -> None:
    scored = a_record("smollm2_lora", "model.train=false", fit=replace(FIT, trained_parameters=0, steps=0))
    text = model_card(publish(tmp_path, scored))
    assert (ModelCard(text).data.library_name, "peft" in text) == ("transformers", False)


def test_an_adapter_that_was_only_loaded_is_named(tmp_path: Path) -> None:
    weights = WeightSource(adapter=AdapterSource("mine", "ab"))
    fit = replace(FIT, trained_parameters=0, steps=0, weights=weights)
    text = model_card(publish(tmp_path, a_record("smollm2_lora", fit=fit)))
    assert "was evaluated, not trained," in text
    assert "loaded adapter: mine, SHA-256 `ab`" in text
    assert ModelCard(text).data.library_name == "peft"
    assert "learning rate" not in text


def test_a_copy_of_a_run_is_not_another_run(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    shutil.copytree(run.folder, run.folder.with_name(f"{run.folder.name}-copy"))
    assert find_run(tmp_path, run.record.digest[:8]).name == run.name


def test_a_card_is_not_written_from_other_predictions_than_the_records(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("minilm"), ONE_WRONG)
    (run.folder / "predictions.parquet").write_bytes(
        (publish(tmp_path, a_record("tfidf"), GOLD).folder / "predictions.parquet").read_bytes()
    )
    with pytest.raises(BenchmarkError, match="is not the file that the record describes"):
        write_model_card(tmp_path, run.record.digest[:8], None)


@pytest.mark.parametrize(
    ("overrides", "changes", "problem"),
    [
        ([], {"status": Status.failed, "failure": Failure("No.")}, "is failed"),
        ([], {"fit": RANDOM_FIT}, "random weights"),
        (["dataset.test_rows=10"], {}, "part of the test split"),
    ],
)
def test_a_run_without_scores_on_the_whole_test_split_has_no_card(
    tmp_path: Path, overrides: list[str], changes: dict[str, Any], problem: str
) -> None:
    run = publish(tmp_path, a_record("minilm", *overrides, **changes))
    with pytest.raises(BenchmarkError) as raised:
        model_card(run)
    assert problem in raised.value.problem


def test_labels_and_titles_are_shown_as_they_are(tmp_path: Path) -> None:
    labels = ("a|b", "<c>", "$d$", "_e_", "=f", "g")
    run = publish(tmp_path, a_record("tfidf", "model.title=My *best* model"))
    config = replace(run.record.config, dataset=replace(run.record.config.dataset, labels=[*labels]))
    named = Run(replace(run.record, config=config), run.folder)
    named.__dict__["table"] = run.table.rename_columns(["id", "gold", "predicted", *(f"p_{label}" for label in labels)])
    text = model_card(named)
    assert "My &#42;best&#42; model was" in text
    assert "labels a&#124;b, &#60;c>, &#36;d&#36;, &#95;e&#95;, =f, g" in text
    assert "| a&#124;b" in text


def test_a_run_is_found_by_folder_name_or_digest(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record("tfidf", seed=seed)) for seed in range(2)]
    assert find_run(tmp_path, str(runs[1].folder)).record.seed == 1
    assert find_run(tmp_path, runs[0].record.digest[:8]).record.seed == 0
    assert find_run(tmp_path, runs[1].name).record.seed == find_run(tmp_path, runs[1].folder.name).record.seed == 1


@pytest.mark.parametrize(("wanted", "count"), [("zzz", "No"), ("", "2")])
def test_a_run_that_is_not_exactly_one_is_an_error(tmp_path: Path, wanted: str, count: str) -> None:
    for seed in range(2):
        publish(tmp_path, a_record("tfidf", seed=seed))
    with pytest.raises(BenchmarkError) as raised:
        find_run(tmp_path, wanted)
    assert raised.value.problem.startswith(f"{count} runs in {tmp_path}")


def test_the_command_writes_the_card_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish(tmp_path / "results", a_record("minilm"), ONE_WRONG)
    before = files_below(tmp_path / "results")
    command = ["report", "--results-dir", str(tmp_path / "results"), "--model-card", run.record.digest[:8]]
    monkeypatch.setattr(sys, "argv", command)
    report_command.main()
    assert ModelCard(capsys.readouterr().out).data.eval_results[0].metric_value == 0.9
    (tmp_path / "folder").mkdir()
    for output, written in (("card/README.md", "card/README.md"), ("folder", "folder/README.md")):
        monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / output)])
        report_command.main()
        assert ModelCard.load(tmp_path / written).data.model_name == "minilm-emotion-paper-seed0"
    assert files_below(tmp_path / "results") == before


def test_a_file_that_is_not_a_card_is_not_overwritten(tmp_path: Path) -> None:
    run = publish(tmp_path / "results", a_record("minilm"), ONE_WRONG)
    readme = tmp_path / "README.md"
    readme.write_text("# The project's own\n")
    with pytest.raises(BenchmarkError) as raised:
        report_command.write_model_card(tmp_path / "results", run.record.digest[:8], readme)
    assert str(readme) in raised.value.problem
    assert readme.read_text() == "# The project's own\n"


def test_every_shipped_result_has_a_card(shipped: Path) -> None:
    for run in read_all(shipped / "results"):
        if run.record.is_result:
            first, *_ = ModelCard(model_card(run)).data.eval_results
            assert first.metric_value == round(float((run.gold == run.predictions.predicted).mean()), 6)


@pytest.mark.parametrize(
    ("route", "overrides", "dataset_type"),
    [
        ("local files (.txt)", [], "mine"),
        ("hub dair-ai/emotion", [], "dair-ai/emotion"),
        ("hub dair-ai/emotion", ["dataset.perturb=typos"], "mine-typos"),
    ],
)
def test_unchecked_and_changed_data_are_not_named_as_the_hubs(
    tmp_path: Path, route: str, overrides: list[str], dataset_type: str
) -> None:
    record = a_record("minilm", "dataset.sha256={}", *overrides, dataset="mine")
    assert record.data is not None
    run = publish(tmp_path, replace(record, data=replace(record.data, route=route)))
    card = ModelCard(model_card(run))
    assert card.data.eval_results[0].dataset_type == dataset_type
    assert (card.data.eval_results[0].dataset_revision is None) == dataset_type.startswith("mine")
    assert card.data.language is None


def test_the_split_is_that_of_the_hub(tmp_path: Path) -> None:
    splits = 'dataset.hub.splits={"train": "train", "test": "validation"}'
    card = ModelCard(model_card(publish(tmp_path, a_record("minilm", splits))))
    assert {result.dataset_split for result in card.data.eval_results} == {"validation"}


def test_free_answers_have_no_calibration_error(tmp_path: Path) -> None:
    generated = publish(tmp_path, a_record("smollm2_lora", "model.readout=generate"), ONE_WRONG, ["words"] * 10)
    assert "calibration" not in model_card(generated)
    assert "calibration" in model_card(publish(tmp_path, a_record("minilm"), ONE_WRONG))
