import re
from dataclasses import replace
from pathlib import Path

import pytest
from factories import FIT, a_record, evidence, offer, on_a_gpu, on_rows, told, wrong_at

from benchmark.analysis.evidence import Evidence
from benchmark.report.findings import LONG_TABLES, findings, more
from benchmark.report.tables import TABLES
from benchmark.results import store as records
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run


def said(*runs: Run, beginning: str) -> str:
    """The one sentence about these runs that begins so."""
    (sentence,) = [found for found in findings(evidence(*runs)) if found.startswith(beginning)]
    return sentence


def reading(trained: Run) -> RunRecord:
    """The adapter of that run, read by free generation."""
    adapter = {"adapter": {"name": trained.folder.name, "sha256": "f" * 64}}
    return replace(
        a_record("smollm2_lora", "model.readout=generate"), fit=replace(FIT, trained_parameters=0, weights=adapter)
    )


def test_they_open_with_the_answer_and_what_is_ahead_has_its_figures(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 7, "tfidf": 42}
    runs = [told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()]
    first = findings(evidence(*runs))[0]
    assert first.startswith("The most accurate model measured here is MiniLM-L6 (22M BERT) on recipe paper")
    assert first.endswith("statistically tied with BERT base (uncased) on recipe paper (0.9650).")
    lead = said(*runs, beginning="MiniLM-L6 (22M BERT), paper leads")
    assert "leads TF-IDF + logistic regression, paper by 0.2000 (95% interval 0.1" in lead
    assert lead.endswith("40 texts only the first gets right, 0 only the second.")


@pytest.mark.parametrize(("wrong", "place"), [(2, "above"), (15, "around"), (60, "below")])
def test_the_smallest_network_stands_beside_the_studys_best_figure(wrong: int, place: str, tmp_path: Path) -> None:
    runs = [
        told(tmp_path, a_record("bert_base"), wrong_at(range(1))),
        told(tmp_path, a_record("minilm"), wrong_at(range(wrong))),
        told(tmp_path, a_record("minilm", "recipe.epochs=9"), wrong_at(range(wrong + 20))),
        told(tmp_path, a_record("tfidf"), wrong_at(range(3))),
    ]
    sentence = said(*runs, beginning="With 22.7 million parameters MiniLM-L6 (22M BERT), paper reaches")
    assert f"reaches {1 - wrong / 200:.4f} on A processor, 2 cores" in sentence
    assert f"lies {place} the 0.9262 that the study printed for Llama3-8b." in sentence


def test_what_could_be_found_is_said_of_the_next_that_was_trained_itself(tmp_path: Path) -> None:
    """Not of the same training read out in another way."""
    trained = told(tmp_path, a_record("smollm2_lora"), wrong_at(range(2)))
    runs = [
        trained,
        told(tmp_path, reading(trained), wrong_at(range(3))),
        told(tmp_path, a_record("minilm"), wrong_at(range(29))),
    ]
    rule = said(*runs, beginning="Two results count as different")
    found = r"strictest correction, the best model's lead over MiniLM-L6 \(22M BERT\), paper would have to be 0\.0\d+"
    assert re.search(found, rule)


def test_the_same_training_read_again_is_no_rival_unless_there_is_no_other(tmp_path: Path) -> None:
    trained = told(tmp_path, a_record("smollm2_lora"), wrong_at(range(2)))
    runs = [
        trained,
        told(tmp_path, reading(trained), wrong_at(range(3))),
        told(tmp_path, a_record("minilm"), wrong_at(range(5))),
    ]
    tied = said(*runs, beginning="The most accurate").partition("statistically tied with ")[2]
    assert tied == "MiniLM-L6 (22M BERT) on recipe paper (0.9750)."
    alone = said(*runs[:2], beginning="The most accurate").partition("statistically tied with ")[2]
    assert alone == "SmolLM2-135M + LoRA on recipe paper with readout=generate (0.9850)."


def test_a_reading_that_is_best_is_not_held_against_its_own_training(tmp_path: Path) -> None:
    trained = told(tmp_path, a_record("smollm2_lora"), wrong_at(range(3)))
    runs = [
        told(tmp_path, a_record("smollm2_lora", seed=1), wrong_at(range(3))),  # the seed that was not read again
        trained,
        told(tmp_path, reading(trained), wrong_at(range(2))),
        told(tmp_path, a_record("minilm"), wrong_at(range(5))),
    ]
    first = said(*runs, beginning="The most accurate")
    assert "SmolLM2-135M + LoRA on recipe paper with readout=generate: it is right on 0.9900" in first
    assert first.endswith("statistically tied with MiniLM-L6 (22M BERT) on recipe paper (0.9750).")
    worse = told(tmp_path, a_record("minilm"), wrong_at(range(29)))
    assert "lead over MiniLM-L6" in said(*runs[:3], worse, beginning="Two results count as different")


def test_the_best_of_each_kind_is_priced_and_the_dearest_held_against_the_next(tmp_path: Path) -> None:
    runs = [
        offer(tmp_path, "smollm2_lora", 8, training=3000, memory=200, trained=50, answering=4),
        offer(tmp_path, "minilm", 10, training=600, memory=200, trained=50, answering=2),
        offer(tmp_path, "bert_base", 20, training=9000, memory=300, trained=70, answering=3),
        offer(tmp_path, "tfidf", 60, training=1, memory=100, trained=60, answering=0.2),
    ]
    bill = said(*runs, beginning="The best of each kind timed on A processor, 2 cores, and its price: ")
    assert bill.partition("price: ")[2] == (
        "SmolLM2-135M + LoRA, paper: 0.9600 for 50.0 min of training and 20 ms a text; MiniLM-L6 (22M BERT), paper: "
        "0.9500 for 10.0 min of training and 10 ms a text; TF-IDF + logistic regression, paper: 0.7000 for 1.0 s of "
        "training and 1 ms a text. The first takes 5.0 times the training of the second and 2.0 times its time to "
        "answer; in accuracy that makes +0.0100, a tie."
    )
    clear = said(runs[1], runs[3], beginning="The best of each kind timed on A processor, 2 cores, and its price: ")
    assert "in accuracy that makes +0.2500, more than chance explains." in clear
    worse = offer(tmp_path, "smollm2_head", 90, training=5000, memory=200, trained=50, answering=4)
    dear = said(worse, runs[1], beginning="The best of each kind timed on A processor, 2 cores, and its price: ")
    assert "in accuracy that makes -0.4000, more than chance explains." in dear
    assert not any("its price" in sentence for sentence in findings(evidence(runs[0])))


def test_what_ran_under_other_settings_is_not_said_to_be_not_run(tmp_path: Path) -> None:
    run = told(tmp_path, a_record("bert_base", "recipe.learning_rate=0.00002"), wrong_at(range(20)))
    study = said(run, beginning="The study printed")
    assert "none of its five models has been run here under its settings; under other settings: Bert-Base at" in study
    not_run = said(run, beginning="Not run here: BERT large (uncased), RoBERTa base, RoBERTa large, Llama 3 8B")
    assert "says what those reach" not in not_run
    both = [run, told(tmp_path, a_record("roberta_base"), wrong_at(range(10)))]
    study = said(*both, beginning="The study printed")
    assert "under its settings: Roberta-Base at 0.9500 (one seed); under other settings: Bert-Base at 0.9000" in study
    assert study.endswith("not run: Bert-Large, Roberta-Large and Llama3-8b.")


def test_a_failed_first_seed_takes_nothing_from_the_answer(tmp_path: Path) -> None:
    failed = a_record("minilm", seed=0, status=Status.failed, failure=Failure("no memory left; halve the batch."))
    runs = [records.write(tmp_path, failed), told(tmp_path, a_record("minilm", seed=1), wrong_at([0]))]
    assert "0.9950 of the 200 test texts" in said(*runs, beginning="The most accurate")


def test_other_texts_under_the_same_name_are_not_held_against_the_best(tmp_path: Path) -> None:
    """Nor do they stand for the study's own run."""
    changed = a_record("bert_base", "dataset.sha256=null", test_sha256="d" * 64)
    runs = [told(tmp_path, a_record("minilm"), wrong_at([0])), told(tmp_path, changed, wrong_at(range(60)))]
    assert said(*runs, beginning="The most accurate").endswith("with no other to compare.")
    assert "under other settings: Bert-Base" in said(*runs, beginning="The study printed")


def test_the_price_is_of_the_machine_that_timed_most_kinds(tmp_path: Path) -> None:
    """The best MiniLM's seeds ran on two; what is most accurate of all, on the one with fewer."""
    twice = [
        offer(tmp_path, "minilm", 5, training=600, memory=200, trained=50, answering=2, seed=seed) for seed in (0, 1)
    ]
    elsewhere = Run(replace(twice[1].record, environment={"processor": "Another", "cores": 8}), twice[1].folder)
    tfidf = offer(tmp_path, "tfidf", 60, training=1, memory=100, trained=60, answering=0.2)
    runs = [twice[0], elsewhere, tfidf]
    bill = said(*runs, beginning="The best of each kind timed on A processor, 2 cores, and its price: ")
    assert "price: MiniLM-L6 (22M BERT), paper: 0.9750 for 10.0 min" in bill
    best = said(*runs, beginning="The most accurate")
    assert "after 10.0 min of training on A processor, 2 cores, " in best
    decoder = on_a_gpu(offer(tmp_path, "smollm2_lora", 3, training=9, memory=200, trained=50, answering=1))
    assert said(*runs, decoder, beginning="The best of each kind timed on A processor") == bill


def test_the_lead_is_over_another_kind_that_is_trained(tmp_path: Path) -> None:
    ends = {"smollm2_lora": 2, "smollm2_head": 40, "tfidf": 42, "majority": 120}
    runs = {model: told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()}
    lead = said(*runs.values(), beginning="SmolLM2-135M + LoRA, paper leads")
    assert "leads TF-IDF + logistic regression, paper by 0.2000" in lead
    without = [run for model, run in runs.items() if model != "tfidf"]
    lead = said(*without, beginning="SmolLM2-135M + LoRA, paper leads")
    assert "leads SmolLM2-135M + LoRA, classification head, paper by 0.1900" in lead


def test_few_training_texts_are_held_against_many_where_all_had_as_many(tmp_path: Path) -> None:
    def reached(model: str, rows: int, wrong: int) -> Run:
        steps = 3 * rows // 20 if model == "minilm" else 0
        record = on_rows(rows, model, asked=rows < 1000)
        return told(tmp_path, replace(record, fit=replace(FIT, steps=steps)), wrong_at(range(wrong)))

    ends = {"minilm": {160: 90, 1000: 4}, "tfidf": {16: 190, 160: 80, 400: 70, 1000: 30}}
    runs = [reached(model, rows, wrong) for model, points in ends.items() for rows, wrong in points.items()]
    assert said(*runs, beginning="With 160 training texts") == (
        "With 160 training texts in place of 1,000, for networks as many epochs and so fewer steps: TF-IDF + logistic "
        "regression, paper 0.6000 in place of 0.8500; MiniLM-L6 (22M BERT), paper 0.5500 (24 steps) in place of 0.9800 "
        "(150 steps)."
    )
    assert not any("in place of" in sentence for sentence in findings(evidence(*runs[:2])))

    trial = [reached("smollm2_lora", 300, 50), reached("smollm2_lora", 1000, 2)]  # of a size that no other was given
    assert said(*runs, *trial, beginning="With 160 training texts") == said(*runs, beginning="With 160 training texts")


def test_the_dominated_are_named(tmp_path: Path) -> None:
    runs = [
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        offer(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3),
    ]
    assert said(*runs, beginning="Not worth the price").endswith(
        "costs no more: BERT base (uncased), paper (MiniLM-L6 (22M BERT), paper, by training time, peak memory, "
        "parameters trained, time to answer)."
    )


def test_without_runs_only_the_study_is_spoken_of() -> None:
    nothing, study, figures, compared = findings(Evidence([], {}))
    assert nothing == "Nothing has been measured here yet."
    assert study.startswith("The study printed 0.9262 for Llama3-8b")
    assert figures == "Of the study's five accuracies 4 cannot be accuracies on 2,000 texts; 0.9125 (1825/2000) can."
    assert "about 15 texts (unpaired z 0.86)" in compared


def test_what_was_not_run_is_named_with_the_command(tmp_path: Path) -> None:
    run = told(tmp_path, a_record("bert_base"), wrong_at(range(7)))
    not_run = said(run, beginning="Not run here: BERT large (uncased), RoBERTa base, RoBERTa large, Llama 3 8B")
    assert "`python -m benchmark experiment=table3`" in not_run


def test_every_table_pointed_to_exists() -> None:
    shown = {"table1_models", "table2_settings", "table3_accuracy", "speed"}
    assert set(LONG_TABLES) == set(TABLES) - shown
    assert re.findall(r"tables/(\w+)\.md", more()) == list(LONG_TABLES)


def test_where_a_network_of_unknown_or_large_size_was_scored_small_models_are_not_spoken_of(tmp_path: Path) -> None:
    small = told(tmp_path, a_record("minilm"), wrong_at(range(9)))
    assert "Small models are not the study's models" in " ".join(findings(evidence(small)))
    for other in ("external", "llama3_head"):
        run = told(tmp_path, a_record(other), wrong_at(range(5)))
        text = " ".join(findings(evidence(small, run)))
        assert "whether the big model pays stays open. " in text
        assert "mall model" not in text


def test_the_smallest_network_is_found_behind_a_failed_seed_and_a_large_one_is_counted_in_millions(
    tmp_path: Path,
) -> None:
    failed = replace(a_record("minilm", status=Status.failed, failure=Failure("no")), card=None)
    runs = [
        records.write(tmp_path, failed),
        told(tmp_path, a_record("minilm", seed=1), wrong_at(range(9))),
        told(tmp_path, a_record("llama3_lora"), wrong_at(range(5))),
    ]
    assert "reaches 0.9550" in said(*runs, beginning="With 22.7 million parameters MiniLM-L6")
    assert said(*runs[2:], beginning="With 8,030.3 million parameters")


def test_what_was_made_elsewhere_is_a_rival(tmp_path: Path) -> None:
    elsewhere = replace(a_record("external"), fit=replace(FIT, trained_parameters=0))
    runs = [
        told(tmp_path, a_record("minilm"), wrong_at(range(2))),
        told(tmp_path, elsewhere, wrong_at(range(3))),
    ]
    tied = said(*runs, beginning="The most accurate").partition("statistically tied with ")[2]
    assert tied == "External predictions on recipe paper (0.9850)."


def test_the_studys_recipe_stands_beside_the_best_other_one(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, a_record("smollm2_lora"), wrong_at(range(50))),
        told(tmp_path, a_record("smollm2_lora", "recipe.name=tuned"), wrong_at(range(5))),
        told(tmp_path, a_record("smollm2_lora", "recipe.name=worse"), wrong_at(range(90))),
        told(tmp_path, a_record("minilm"), wrong_at(range(7))),
        told(tmp_path, a_record("minilm", "recipe.name=tuned"), wrong_at(range(9))),
        told(tmp_path, a_record("tfidf"), wrong_at(range(60))),
        told(tmp_path, a_record("tfidf", "recipe.name=tuned"), wrong_at(range(80))),
    ]
    sentence = said(*runs, beginning="The study's recipe against")
    assert sentence == (
        "The study's recipe against the best other one tried here: MiniLM-L6 (22M BERT) 0.9650 against 0.9550 (tuned), "
        "a tie; SmolLM2-135M + LoRA 0.7500 against 0.9750 (tuned), more than chance explains."
    )
    assert said(*runs, beginning="SmolLM2-135M + LoRA, tuned leads TF-IDF + logistic regression, paper by 0.2750")
