import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from factories import (
    FIT,
    MANY_GOLD,
    a_record,
    a_record_on_rows,
    a_throughput,
    analysis_of,
    publish,
    publish_many,
    publish_with_costs,
    rows_of,
    wrong_at,
)

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results, results_of
from benchmark.analysis.prices import read_prices
from benchmark.config import digest_of
from benchmark.interface import AdapterSource, CurvePoint, WeightSource
from benchmark.report.build import Report
from benchmark.report.summary import _most_harmful_change, _prices, answer, facts, findings, messages
from benchmark.report.tables import TABLES, all_tables
from benchmark.report.wording import faster_or_slower, in_words, listed, times, usd
from benchmark.results.record import RunRecord
from benchmark.results.store import Run


def about(*runs: Run) -> dict[str, Any]:
    analysis = AnalysedResults(results_of(list(runs)))
    return facts(analysis, all_tables(analysis))


def sentences(*runs: Run) -> list[str]:
    analysis = AnalysedResults(results_of(list(runs)))
    return findings(analysis, all_tables(analysis))


def errors(folder: Path, **wrong: int) -> list[Run]:
    """One run per model with so many errors of 200."""
    return [publish_many(folder, a_record(model), wrong_at(range(count))) for model, count in wrong.items()]


def models(rows: list[dict[str, Any]]) -> list[str]:
    return [row["model"] for row in rows]


def loaded(trained: Run) -> RunRecord:
    """The record of a run that reads that run's adapter by free generation."""
    weights = WeightSource("wheel", adapter=AdapterSource(trained.folder.name, "f" * 64))
    fit = replace(FIT, trained_parameters=0, weights=weights)
    return replace(a_record("smollm2_lora", "model.readout=generate"), fit=fit)


def test_the_best_model_is_named_with_those_it_is_tied_with(tmp_path: Path) -> None:
    found = about(*errors(tmp_path, minilm=2, bert_base=7, tfidf=42))
    assert found["best"]["model"] == "minilm"
    assert models(found["tied"]) == ["bert_base"]
    assert found["next"]["model"] == "bert_base"


def test_the_next_model_is_named_if_none_is_tied(tmp_path: Path) -> None:
    found = about(*errors(tmp_path, minilm=2, tfidf=62, majority=90))
    assert (found["tied"], found["next"]["model"]) == ([], "tfidf")


def test_a_read_out_of_the_same_training_is_not_a_rival(tmp_path: Path) -> None:
    trained = publish_many(tmp_path, a_record("smollm2_lora"), wrong_at(range(2)))
    read = publish_many(tmp_path, loaded(trained), wrong_at(range(3)))
    (other,) = errors(tmp_path, minilm=4)
    assert models(about(trained, read, other)["tied"]) == ["minilm"]
    better = publish_many(tmp_path, loaded(trained), wrong_at(range(1)))
    assert models(about(trained, better, other)["tied"]) == ["minilm"]


def test_the_smallest_network_that_was_trained_is_at_its_best(tmp_path: Path) -> None:
    runs = errors(tmp_path, bert_base=1, minilm=10, tfidf=3)
    runs.append(publish_many(tmp_path, a_record("minilm", "recipe.epochs=9"), wrong_at(range(5))))
    assert (about(*runs)["smallest"]["model"], about(*runs)["smallest"]["accuracy"]) == ("minilm", 0.975)


@pytest.mark.parametrize(("wrong", "verb"), [(2, "lies above"), (15, "contains"), (60, "lies below")])
def test_the_smallest_network_is_compared_with_the_figure_of_the_study(wrong: int, verb: str, tmp_path: Path) -> None:
    assert any(f"{verb} the 0.9262" in sentence for sentence in sentences(*errors(tmp_path, minilm=wrong)))


def test_networks_that_do_not_state_their_size_are_not_compared_by_it(tmp_path: Path) -> None:
    record = a_record("bert_base")
    assert record.card is not None
    unsized = replace(record, card=replace(record.card, parameters=None))
    runs = [publish_many(tmp_path, unsized, wrong_at(range(3))), *errors(tmp_path, minilm=7, bert_large=8)]
    found = about(*runs)
    assert (found["smallest"]["model"], models(found["networks"])) == ("minilm", ["minilm", "bert_large"])
    assert about(runs[0])["smallest"] is None
    assert len(sentences(*runs)) == len(sentences(*runs[1:]))


def test_networks_are_compared_by_size_unless_two_differ(tmp_path: Path) -> None:
    runs = errors(tmp_path, mpnet_base=1, minilm=3, smollm2_lora=4, tfidf=60)
    runs.append(publish_many(tmp_path, a_record("minilm", "recipe.epochs=9"), wrong_at(range(90))))
    found = about(*runs)
    assert found["largest_remarks"] == "one seed"
    assert models(found["networks"]) == ["minilm", "mpnet_base", "smollm2_lora"]
    assert (found["smaller"]["model"], found["contains_printed"]) == ("minilm", False)  # 0.9262 is below all
    worse = errors(tmp_path / "worse", mpnet_base=1, minilm=40)
    assert (about(*worse)["networks"], about(*worse)["smaller"]) == ([], None)


def test_training_options_that_were_tried_on_a_recipe_are_no_headline(tmp_path: Path) -> None:
    runs = errors(tmp_path, bert_base=3, minilm=6)
    runs.append(publish_many(tmp_path, a_record("minilm", 'recipe.class_weights="balanced"'), wrong_at(range(1))))
    found = about(*runs)
    assert (found["best"]["model"], found["smallest"]["accuracy"]) == ("bert_base", 0.97)
    overview = {row["name"]: row["accuracy"] for row in rows_of(TABLES["overview"].data(analysis_of(*runs)))}
    assert (overview["bert_base"], overview["minilm"]) == (0.985, 0.97)
    alone = about(runs[0], runs[-1])  # without the plain recipe it is no option that was tried
    assert (alone["best"]["model"], alone["best"]["accuracy"]) == ("minilm", 0.995)


def test_a_smaller_model_that_another_one_leads_is_not_named_as_enough(tmp_path: Path) -> None:
    # The best is tied with both others, because its errors are elsewhere; the second leads the third.
    best, second, third = [*range(100, 120)], [*range(22)], [*range(36)]
    runs = [
        publish_many(tmp_path, a_record(model), wrong_at(wrong))
        for model, wrong in (("bert_base", best), ("roberta_base", second), ("minilm", third))
    ]
    found = about(*runs)
    assert models(found["tied"]) == ["roberta_base", "minilm"]
    assert found["smaller"] is None


def test_a_network_that_is_led_leaves_the_answer_to_the_next_in_size(tmp_path: Path) -> None:
    runs = errors(tmp_path, roberta_large=0, mpnet_base=2, minilm=40)
    analysis = AnalysedResults(results_of(runs))
    assert (
        "none is significantly more accurate than MPNet base (109 million" in answer(analysis, all_tables(analysis))[0]
    )


def test_the_most_harmful_change_is_of_the_data_set_and_no_negation() -> None:
    rows = [
        ("emotion", "negation", 0.5),
        ("emotion", "typos", 0.8),
        ("emotion", "uppercase", 0.9),
        ("mine", "no_feel", 0.6),
    ]
    table = pd.DataFrame(
        [
            {"tested_on": dataset, "perturbation": change, "model": "M", "seeds": 3, "before": 0.9, "after": after,
             "difference": after - 0.9}
            for dataset, change, after in rows
        ]
    )  # fmt: skip
    found = _most_harmful_change(table, "emotion")
    assert found == {"what": "typos", "losses": ["from 0.9000 to 0.8000 (M)"], "one_seed": False}
    assert _most_harmful_change(table, "other") is None


def test_changed_texts_of_a_data_set_of_ones_own_are_a_finding(tmp_path: Path) -> None:
    own = publish_many(tmp_path, a_record("minilm", dataset="mine"), wrong_at([1]))
    record = a_record("minilm", 'dataset.perturb="typos"', dataset="mine", test_sha256="c" * 64)
    assert record.data is not None
    data = replace(record.data, perturbed_rows=5, unperturbed_sha256=own.record.data_sha256["test"])
    record = replace(record, data=data, digest=digest_of(record.config.as_json(), data.hashes()))
    [sentence] = [
        sentence
        for sentence in sentences(own, publish_many(tmp_path, record, wrong_at(range(20))))
        if "typos" in sentence
    ]
    assert "from 0.9950 to 0.9000 (MiniLM-L6)" in sentence


def test_decisions_are_those_of_the_best_model(tmp_path: Path) -> None:
    found = about(*errors(tmp_path, minilm=1, tfidf=60))
    assert (found["decision"]["model"], found["decision"]["coverage_at_5"]) == ("MiniLM-L6", 1)
    assert found["noise"] is None
    assert about(*errors(tmp_path / "two", minilm=1, bert_base=2))["noise"]["texts"] == 2


def test_the_cheapest_tied_model_of_the_same_machine_is_compared(tmp_path: Path) -> None:
    costs = {"memory": 9, "trained": 9, "answering": 1.0}
    best = publish_with_costs(tmp_path, "bert_base", 1, training=100, **costs)
    middle = publish_with_costs(tmp_path, "roberta_base", 2, training=50, **costs)
    cheap = publish_with_costs(tmp_path, "minilm", 3, training=10, **costs)
    assert about(best, middle, cheap)["cheaper"]["model"] == "minilm"
    dear = publish_with_costs(tmp_path, "minilm", 3, training=100, **costs)
    assert about(best, dear)["cheaper"] is None


def test_a_configuration_without_a_price_of_the_year_has_none() -> None:
    table = pd.DataFrame({"configuration": ["a", "b"], "year_dollars": [None, 1.5]}, dtype=object)
    assert _prices(table, {"configuration": "b"}) == [1.5]
    assert _prices(table, {"configuration": "a"}, {"configuration": "b"}) == []


def test_the_number_of_training_rows_that_most_curves_have_is_compared(tmp_path: Path) -> None:
    sizes = {
        "minilm": {10: 90, 100: 50, 1000: 10},
        "tfidf": {10: 100, 100: 70, 1000: 30},
        "majority": {10: 120, 1000: 110},
    }
    runs = [
        publish_many(tmp_path, a_record_on_rows(rows, model, limited=rows < 1000), wrong_at(range(wrong)))
        for model, curve in sizes.items()
        for rows, wrong in curve.items()
    ]
    found = about(*runs)["few"]
    assert (found["rows"], found["most"]) == (10, 1000)
    assert [(point["accuracy"], point["whole"]) for point in found["points"]] == [
        (0.55, 0.95),
        (0.5, 0.85),
        (0.4, 0.45),
    ]
    assert about(*runs[:3])["few"] is None


def test_the_models_of_the_study_are_told_apart_by_their_settings(tmp_path: Path) -> None:
    runs = errors(tmp_path, bert_base=9, roberta_large=3, llama3_lora=4, minilm=1)
    runs.append(publish_many(tmp_path, a_record("bert_large", "recipe.epochs=9"), wrong_at(range(5))))
    found = about(*runs)
    assert models(found["repeated"]) == ["bert_base", "roberta_large", "llama3_lora"]
    assert models(found["otherwise"]) == ["bert_large"]
    assert found["missing"] == ["RoBERTa base"]
    assert models(found["pair"]) == ["llama3_lora", "roberta_large"]
    assert found["pair_differs"] is False


def test_the_answer_names_the_smallest_network_that_no_model_leads_and_what_is_open(tmp_path: Path) -> None:
    def answered(*runs: Run) -> str:
        analysis = AnalysedResults(results_of(list(runs)))
        return " ".join(answer(analysis, all_tables(analysis)))

    runs = errors(tmp_path, bert_base=3, minilm=6, tfidf=62)
    unmeasured = "*Not answered for Llama 3 8B*: its accuracy was not measured; the study reports 0.9262."
    none_better = (
        "Of the models trained here on all 140 texts of emotion, none is significantly more accurate than the "
        "smallest network, MiniLM-L6 (22.7 million parameters, 0.9700, 1.5 min of training on a CPU). "
    )
    assert answered() == f"Nothing has been measured here yet. {unmeasured}"
    assert answered(*runs).startswith(none_better)
    assert unmeasured in answered(*runs)
    leads = "the most accurate, BERT base (109 million, 0.9850), leads MiniLM-L6 by 0.0150 (95% interval "
    assert f"*Limits*: on emotion, {leads}" in answered(*runs)
    with_llama = answered(*runs, *errors(tmp_path, llama3_lora=4))
    assert with_llama.startswith(none_better)
    assert "Not answered" not in with_llama
    assert "none is significantly more accurate" in answered(*runs, *errors(tmp_path, roberta_large=0, bert_large=62))
    own = [publish_many(tmp_path, a_record("tfidf", dataset="mine"), MANY_GOLD)]
    assert answered(*own).startswith("The most accurate model tested on mine, ")


def test_the_answer_says_whose_learning_rate_was_searched(tmp_path: Path) -> None:
    runs = errors(tmp_path, bert_base=3, minilm=6)
    used = a_record("minilm").config.recipe.learning_rate
    below, trial, above = (
        publish(
            tmp_path,
            a_record("minilm", f"recipe.learning_rate={rate}", "recipe.name=tune_cpu", "dataset.test_rows=1"),
        )
        for rate in (used / 2, used, 2 * used)
    )
    trials = [trial, above]
    analysis = AnalysedResults(results_of([*runs, *trials]))
    assert answer(analysis, all_tables(analysis))[-1].endswith(
        "On emotion, the learning rate of MiniLM-L6 was searched on the validation split, and no search is recorded "
        "for BERT base."
    )
    analysis = AnalysedResults(results_of([*runs, below, trial]))
    assert answer(analysis, all_tables(analysis))[-1].endswith(
        "for BERT base; that of MiniLM-L6 is the highest tried, so a better one may exist."
    )
    analysis = AnalysedResults(results_of([*runs, *trials[:1]]))
    assert "searched" not in answer(analysis, all_tables(analysis))[-1]


@pytest.mark.parametrize(("at_twice_the_rate", "low"), [(0.9, True), (0.1, False)])
def test_the_answer_says_whose_rate_was_too_low_on_other_data(
    at_twice_the_rate: float, low: bool, tmp_path: Path
) -> None:
    runs = errors(tmp_path, bert_base=3, minilm=6)
    used = a_record("bert_base").config.recipe.learning_rate
    for rate, validated in ((used, 0.5), (2 * used, at_twice_the_rate)):
        options = (f"recipe.learning_rate={rate}", "recipe.name=tune", "dataset.test_rows=1")
        fit = replace(FIT, curve=(CurvePoint(1, 1.0, validation_accuracy=validated),))
        trial = a_record("bert_base", *options, dataset="mine", fit=fit)
        assert trial.data is not None
        splits = {name: replace(split, sha256=f"{name:0<64}") for name, split in trial.data.splits.items()}
        runs.append(publish(tmp_path, replace(trial, data=replace(trial.data, splits=splits))))
    analysis = AnalysedResults(results_of(runs))
    sentence = "BERT base was trained with 5e-5; on mine, higher rates were more accurate on the validation split"
    assert (sentence in " ".join(answer(analysis, all_tables(analysis)))) is low


def test_the_answer_prices_the_large_model_by_its_speed_with_random_weights(tmp_path: Path) -> None:
    costs = {"memory": 9, "trained": 9, "answering": 1.0}
    best = publish_with_costs(tmp_path, "bert_base", 1, training=100, **costs)
    cheap = publish_with_costs(tmp_path, "minilm", 3, training=10, **costs)
    way = {"batching": "packed", "precision": "bf16", "samples_per_second": 100.0, "answered_per_second": 1000.0}
    speed = a_throughput(model="llama3_lora", title="Llama 3 8B", device="NVIDIA H200", pretrained=False, ways=[way])
    analysis = AnalysedResults(results_of([best, cheap], [speed]))
    _, second, _ = answer(analysis, all_tables(analysis))
    assert second.startswith("*Not answered for Llama 3 8B*: its accuracy was not measured, only its speed; the study")
    price = (480 + 365) * 4 / 3600
    assert f"would cost about {price:.2f} US dollars on one NVIDIA H200, computed from the fastest speed" in second
    assert "MiniLM-L6 costs 0.05 on A processor, 2 cores" in second


def test_settings_that_the_short_name_of_a_model_leaves_out_are_named(tmp_path: Path) -> None:
    padded = publish_many(tmp_path, a_record("minilm", "model.batching=padded"), wrong_at(range(6)))
    analysis = analysis_of(padded, *errors(tmp_path, bert_base=3))
    assert facts(analysis, all_tables(analysis))["left_out"] == ["MiniLM-L6 (padded)"]
    assert "MiniLM-L6 (padded)" in Report(analysis.results).readme_section()


def test_without_runs_the_findings_say_that_nothing_was_measured() -> None:
    first, *others = sentences()
    assert first == "Nothing has been measured here yet."
    assert [sentence[:45] for sentence in others] == ["Four of the study's five accuracies cannot co"]


def test_a_score_that_a_constant_prediction_reaches_is_called_so(tmp_path: Path) -> None:
    few = publish_many(tmp_path, a_record_on_rows(10), [0] * 200)
    other = publish_many(tmp_path, a_record_on_rows(10, "tfidf"), wrong_at(range(90)))
    whole = [
        publish_many(tmp_path, a_record_on_rows(100, model, limited=False), MANY_GOLD) for model in ("minilm", "tfidf")
    ]
    (sentence,) = [
        sentence for sentence in sentences(few, other, *whole) if sentence.startswith("With 10 training texts,")
    ]
    assert "the accuracy is 0.5500 with TF-IDF + logistic regression (24 steps) and 0.1700 with MiniLM-L6" in sentence
    assert sentence.endswith(
        " and 0.1700 with MiniLM-L6 (24 steps, one label for all texts); with all 100, it is 1.0000 and 1.0000."
    )


def test_without_the_data_of_the_study_the_findings_are_about_ones_own(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record(model, dataset="mine"), wrong_at(range(n)))
        for model, n in (("minilm", 1), ("tfidf", 60))
    ]
    answer, decisions = sentences(*runs)
    assert "labels 100% of the texts with at most 5% errors" in decisions
    assert answer.startswith("The most accurate model tested on mine, MiniLM-L6, paper (0.9950 on 200 test texts")


def test_the_readme_has_six_findings_of_one_sentence_each(shipped: Path) -> None:
    analysis = AnalysedResults(read_results(shipped / "results"))
    found = findings(analysis, all_tables(analysis))
    assert len(found) == 10
    assert max(len(finding.split()) for finding in found) <= 49
    assert not [finding for finding in found if ". " in finding]
    readme = (shipped / "README.md").read_text(encoding="utf-8")
    assert [sentence in readme for sentence in found] == [True] * 6 + [False] * 4
    assert found[0].startswith(
        "On emotion with all 16,000 training texts, no model is significantly more accurate than MiniLM-L6, tuned (22."
    )
    assert found[0].endswith("(109 million, 0.9337), leads by 0.0057 (95% interval -0.0037 to 0.0150).")
    assert "0.0522 on emotion (MPNet base), 0.1818 on" in found[4]
    assert "0.0449 on banking77 (MPNet base; significantly above MiniLM-L6)" in found[4]
    assert "and 0.1046 on goemotions (MiniLM-L6; the only network tested)." in found[4]
    found_answer = answer(analysis, all_tables(analysis))[0]
    known = facts(analysis.for_dataset("emotion"), all_tables(analysis))
    cheap, best, lead = known["cheaper"], known["best"], known["lead"]
    tables = {table.name: data for table, data in all_tables(analysis).items()}
    intro = " ".join(readme.partition("**Answer: ")[2].partition("![Accuracy")[0].split())
    intro = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", intro)  # without links
    larger = [row for row in known["networks"] if row["parameters"] > cheap["parameters"]]
    assert "with all 16,000 training texts of emotion, none of the three larger networks that were run" in intro
    assert len({row["model"] for row in larger}) == 3
    sizes = [in_words(size(row["parameters"] for row in larger)) for size in (min, max)]
    assert sizes == ["109 million", "1.78 billion"]
    assert "(109 million to 1.8 billion parameters) is significantly more accurate than MiniLM-L6" in intro
    assert known["searched"] == ["MiniLM-L6", "SmolLM2-135M LoRA"]
    assert "The learning rates of MiniLM-L6 and SmolLM2-135M LoRA were [searched on the validation split]" in readme
    (low,) = known["low_rates"]
    assert low == {"title": "MPNet base", "rate": "5e-5", "datasets": ["banking77", "tweet_emotion"]}
    assert "MPNet base was trained with 5e-5; on banking77 and tweet_emotion, higher rates were more accurate" in readme
    assert known["from_four_bits"] == ["SmolLM2-135M LoRA", "Qwen2.5-Coder 1.5B LoRA"]
    interval = f"95% interval {cheap['low']:.4f} to {cheap['high']:.4f}"
    assert f"Its accuracy is {cheap['accuracy']:.4f} ({interval}), and it trains in ten minutes" in intro
    prices = known["prices"]
    cost = f"cost {prices[1]:.2f} US dollars with it and {prices[0]:.2f} with MiniLM-L6, on two CPU cores at"
    idle = [f"{dollars:,.0f}" for dollars in known["idle"]]
    hourly = f"{read_prices().dollars_per_hour(cheap['machine']):.2f} an hour of computing"
    assert f"{cost} {hourly}; kept on all year, this machine costs {idle[1]}." in intro
    projected = {row["batching"]: row["year_dollars"] for row in rows_of(tables["projected_dollars"])}
    graphs = projected["packed, CUDA graphs"]
    assert graphs == min(projected.values())
    per_hour = f"{known['projected']['per_hour']:.2f} an hour; kept on all year, it costs {idle[0]}."
    assert f"would cost {graphs:.2f} US dollars on one NVIDIA H200 at {per_hour}" in intro
    assert known["projected"]["hardware"] == "NVIDIA H200"
    assert set(tables["tuning"]["model"]) == {"MiniLM-L6", "SmolLM2-135M LoRA"}
    assert set(tables["tuning_banking77"]["model"]) == {"MiniLM-L6", "MPNet base"}
    assert found_answer.endswith(
        "On banking77, MPNet base (0.9352) is significantly more accurate than MiniLM-L6 (0.9143), by 0.0209 "
        "(95% interval 0.0130 to 0.0288)."
    )
    assert "On banking77 (77 labels), MPNet base leads MiniLM-L6 significantly, by 0.0209 (0.0130 to 0.0288)." in intro
    decoder_lead = known["cheaper_lead"]
    interval = f"({decoder_lead['low']:.4f} to {decoder_lead['high']:.4f})"
    best_decoder = f"The best decoder, SmolLM2-135M LoRA, leads by {decoder_lead['difference']:.4f}"
    assert f"{best_decoder} {interval}." in intro
    assert (cheap["model"], best["model"], known["timed"]["model"]) == ("minilm", "mpnet_base", "smollm2_lora")
    assert [f"{detectable:.3f}" for detectable in (lead["detectable"], known["detectable"])] == ["0.021", "0.024"]
    networks = [row["configuration"] for row in known["networks"]]
    pairs = analysis.for_dataset("emotion").comparisons
    of_networks = pairs[pairs["better"].isin(networks) & pairs["other"].isin(networks)]["detectable"]
    assert [f"{detectable:.3f}" for detectable in (of_networks.min(), of_networks.max())] == ["0.021", "0.024"]
    assert known["timed"]["precision"] == "bf16"  # as the price of SmolLM2 says
    printed = [known["study"].TABLE3[name] for name in known["study"].TABLE3 if name not in known["study"].DECODERS]
    llama = known["study"].TABLE3[known["study"].DECODERS[0]]
    leads = [f"{llama - accuracy:.3f}" for accuracy in (max(printed), min(printed))]
    reported = f"{llama:.4f} for Llama 3 8B, {leads[0]} to {leads[1]} above BERT and RoBERTa;"
    assert f"The study reports {reported} the tests here can miss differences below 0.024." in intro
    measured = analysis.for_dataset("emotion").configurations.set_index("short_name")["accuracy"]
    by_recipe = [measured[f"SmolLM2-135M LoRA, {recipe}"] for recipe in ("paper", "tuned, bf16")]
    assert (
        "SmolLM2 reaches {:.4f} with it (one seed) and {:.4f} with `recipe=tuned` (three seeds)".format(*by_recipe)
        in readme
    )
    assert 570 < cheap["training_seconds"] < 630  # ten minutes
    results_page = (shipped / "docs" / "results.md").read_text(encoding="utf-8")
    assert f"kept on all year, the machines cost {idle[0]} and {idle[1]} US dollars." in results_page
    steps = "SmolLM2-135M LoRA takes more steps with the same texts than MiniLM-L6 (batches of 20, not 32)."
    assert f"{steps} With 160 texts, MiniLM-L6 predicts one label for all." in results_page
    seeds = [float(right.mean()) for right in analysis.results.correct(cheap["counted"])]
    assert f"trains five (those shipped reach {min(seeds):.4f} to {max(seeds):.4f})" in readme
    memory = analysis.for_dataset("emotion").configurations.set_index("model")["peak_memory"]
    models_page = (shipped / "docs" / "models.md").read_text(encoding="utf-8")
    assert f"The shipped run of `qwen_coder_lora` took {memory['qwen_coder_lora'] / 1e9:.1f} GB" in models_page
    assert known["smaller"]["model"] == known["smallest"]["model"] == "minilm"
    assert "LoRA (a code model, one seed and one epoch) do not differ significantly (0.9240 to 0.9337)" in found[1]
    assert found[1].endswith(", but the tests can miss differences below 0.024.")
    assert found[3].startswith(
        "With 1,600 training texts, the accuracy is 0.8927 with SmolLM2-135M LoRA (240 steps), 0.8208 with MiniLM-L6 "
        "(150 steps) and 0.6595 with TF-IDF + logistic regression; "
    )
    assert found[3].endswith("with all 16,000, it is 0.9318, 0.9280 and 0.8815.")
    assert "SmolLM2-135M LoRA reaches 0.8927 (after 240 steps) and MiniLM-L6 0.8208 (150 steps)." in intro
    best_lead = f"The most accurate, MPNet base, leads by {lead['difference']:.4f} ({lead['low']:.4f} to"
    assert f"{best_lead} {lead['high']:.4f}); the largest, Qwen2.5-Coder 1.5B LoRA, is below it" in intro
    assert max(larger, key=lambda row: row["parameters"])["accuracy"] < cheap["accuracy"]
    few = analysis.for_dataset("emotion").results.runs.query("train_rows == 1600 and recipe != 'few_labels'")
    steps_of = few[few["result"] | few["reduced"]].groupby("title")["steps"].unique().map(list)
    assert (steps_of["SmolLM2-135M LoRA"], steps_of["MiniLM-L6"]) == ([240], [150])
    assert "0.1818 on tweet_emotion (MPNet base; not significantly above MiniLM-L6)" in found[4]
    assert found[5].startswith(
        "Four of the study's five accuracies cannot come from one run on its 2,000 test texts, because"
    )
    assert found[8].startswith(
        "Tested on texts with typos, accuracy of one seed falls from 0.9345 to 0.8620 (MiniLM-L6)"
    )
    assert found[9].startswith("Of the 2,000 test labels, 16 are doubtful: every run of the best model and of")
    opening = messages(analysis, all_tables(analysis))
    assert opening == {"confidence": [found[7]], "errors": found[8:]}


def test_words_for_lists_and_ratios() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [times(9.94), times(10), times(1234.5)] == ["9.9 times", "10 times", "1,234 times"]
    assert [usd(dollars) for dollars in (0.134, 0.0006, 0.00003)] == ["0.13", "0.0006", "less than 0.0001"]
    assert [in_words(size) for size in (22.7e6, 999.4e6, 999.6e6)] == ["22.7 million", "999 million", "1 billion"]


@pytest.mark.parametrize(("seconds", "words"), [(1.0, "2.0 times faster"), (4.0, "2.0 times slower")])
def test_a_cost_in_seconds_is_compared_in_words(seconds: float, words: str) -> None:
    assert faster_or_slower({"training_seconds": 2.0}, {"training_seconds": seconds}, "training_seconds") == words
