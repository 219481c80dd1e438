"""A model card is what the hub's own client reads, and its figures are those of the stored predictions."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from factories import FIT, a_record, publish
from huggingface_hub import ModelCard

from benchmark.errors import BenchmarkError
from benchmark.report import build as report
from benchmark.report.model_card import find, model_card
from benchmark.results.record import Failure, Status
from benchmark.results.store import read_all

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
RESULTS = Path(__file__).resolve().parents[2] / "results"


def test_the_hubs_client_reads_the_model_index_and_finds_the_runs_own_figures(tmp_path: Path) -> None:
    card = ModelCard(model_card(publish(tmp_path, a_record("minilm", seed=3), ONE_WRONG)))
    assert card.data.model_name == "minilm-emotion-paper-seed3"
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["accuracy"].metric_value == 0.9
    assert results["f1"].metric_value == pytest.approx((0.8 + 1 + 1 + 2 / 3 + 1 + 1) / 6, abs=1e-6)
    for result in results.values():
        assert (result.dataset_type, result.dataset_config, result.dataset_split) == (
            "dair-ai/emotion",
            "split",
            "test",
        )
        assert result.dataset_revision == "cab853a1dbdf4c42c2b3ef2173804746df8825fe"
    assert (card.data.license, card.data.language, card.data.datasets) == ("other", "en", "dair-ai/emotion")


@pytest.mark.parametrize(
    ("model", "base", "library"),
    [
        ("roberta_base", "FacebookAI/roberta-base", "transformers"),
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2", "transformers"),
        ("llama3_lora", "meta-llama/Meta-Llama-3-8B-Instruct", "peft"),
        ("smollm2_lora", None, "peft"),  # of a quantised wheel: no hub id is known to be the same
        ("tfidf", None, "sklearn"),
    ],
)
def test_the_base_model_is_named_where_it_is_known(model: str, base: str | None, library: str, tmp_path: Path) -> None:
    data = ModelCard(model_card(publish(tmp_path, a_record(model)))).data
    assert (data.base_model, data.library_name) == (base, library)


def test_the_text_says_what_limits_the_figures(tmp_path: Path) -> None:
    text = model_card(publish(tmp_path, a_record("minilm", "dataset.train_rows=140"), ONE_WRONG))
    assert "0.9000 of the 10 test texts (95% interval 0.5958 to 0.9821" in text  # Wilson's, as in Brown et al., 2001
    assert "limited to 140 training rows: a trial" in text
    assert "1 test texts also occur in train, 1 of them with another label" in text
    assert "50 training texts are joy, 5 surprise" in text
    assert "None is granted here" in text


def test_epochs_are_stated_where_they_set_the_steps(tmp_path: Path) -> None:
    assert "24 steps of 20 samples (3 epochs), fp32" in model_card(publish(tmp_path, a_record("minilm")))
    assert "24 steps of 20 samples, fp32" in model_card(publish(tmp_path, a_record("minilm", "recipe.max_steps=24")))


def test_an_adapter_that_was_only_scored_is_said_to_be(tmp_path: Path) -> None:
    fit = replace(FIT, trained_parameters=0, steps=0, weights={"adapter": {"name": "mine", "sha256": "ab"}})
    text = model_card(publish(tmp_path, a_record("smollm2_lora", fit=fit)))
    assert "was scored, not trained," in text
    assert "adapter mine, SHA-256 `ab`, trained before" in text
    assert "learning rate" not in text


def test_runs_without_a_figure_have_no_card(tmp_path: Path) -> None:
    failed = publish(tmp_path, a_record("minilm", status=Status.failed, failure=Failure("no")))
    random = publish(tmp_path, a_record("bert_base", fit=replace(FIT, weights={"source": "random"})))
    partial = publish(tmp_path, a_record("tfidf", "dataset.test_rows=10"))
    for run, said in ((failed, "is failed"), (random, "random weights"), (partial, "part of the test split")):
        with pytest.raises(BenchmarkError, match=said):
            model_card(run)


def test_a_run_is_found_by_folder_or_digest_and_by_nothing_less(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record("tfidf", seed=seed)) for seed in range(2)]
    assert find(tmp_path, str(runs[1].folder)).record.seed == 1
    assert find(tmp_path, runs[0].record.digest[:8]).record.seed == 0
    assert find(tmp_path, runs[1].name).record.seed == find(tmp_path, runs[1].folder.name).record.seed == 1
    for wanted, said in (("zzz", "No runs in"), ("", "2 runs in")):
        with pytest.raises(BenchmarkError, match=said):
            find(tmp_path, wanted)


def test_the_command_writes_the_card_and_touches_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = publish(tmp_path / "results", a_record("minilm"), ONE_WRONG)
    before = set((tmp_path / "results").rglob("*"))
    command = ["report", "--results-dir", str(tmp_path / "results"), "--model-card", run.record.digest[:8]]
    monkeypatch.setattr(sys, "argv", command)
    report.main()
    assert ModelCard(capsys.readouterr().out).data.eval_results[0].metric_value == 0.9
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "card" / "README.md")])
    report.main()
    assert ModelCard.load(tmp_path / "card" / "README.md").data.model_name == "minilm-emotion-paper-seed0"
    (tmp_path / "card" / "README.md").unlink()
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "card")])
    report.main()
    assert (tmp_path / "card" / "README.md").is_file()
    assert set((tmp_path / "results").rglob("*")) == before


def test_a_file_that_is_no_card_is_not_replaced_by_one(tmp_path: Path) -> None:
    run = publish(tmp_path / "results", a_record("minilm"), ONE_WRONG)
    readme = tmp_path / "README.md"
    readme.write_text("# The project's own\n")
    with pytest.raises(BenchmarkError, match="is there and no model card; name another file"):
        report.write_model_card(tmp_path / "results", run.record.digest[:8], readme)
    assert readme.read_text() == "# The project's own\n"


def test_every_committed_result_has_a_card() -> None:
    for run in read_all(RESULTS):
        if run.record.is_result:
            (accuracy, *_) = ModelCard(model_card(run)).data.eval_results
            assert accuracy.metric_value == round(float((run.gold == run.predictions.predicted).mean()), 6)


def test_other_data_under_a_declared_hub_id_are_not_passed_off_as_the_hubs(tmp_path: Path) -> None:
    record = a_record("minilm", dataset="mine")
    record.config["dataset"]["sha256"] = {}
    (result, *_) = ModelCard(model_card(publish(tmp_path, record))).data.eval_results
    assert (result.dataset_type, result.dataset_revision) == ("mine", None)


def test_free_answers_are_given_no_calibration(tmp_path: Path) -> None:
    generated = publish(tmp_path, a_record("smollm2_lora", "model.readout=generate"), ONE_WRONG, ["words"] * 10)
    assert "calibration" not in model_card(generated)
    assert "calibration" in model_card(publish(tmp_path, a_record("minilm"), ONE_WRONG))
