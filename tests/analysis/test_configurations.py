from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import (
    FIT,
    GOLD,
    RANDOM_FIT,
    a_record,
    analysis_of,
    loading,
    on_a_gpu,
    publish,
    publish_with_costs,
    rows_of,
)

from benchmark.analysis.configurations import (
    COMPUTED_COLUMNS,
    COPIED_COLUMNS,
    configurations,
    mean_class_scores,
    with_results,
)
from benchmark.analysis.frame import read_results
from benchmark.analysis.inference import accuracy_interval
from benchmark.interface import NO_LABEL, FitReport, WeightSource
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run

TWO_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 0, 0)  # of GOLD: the second love and the second anger are taken for sadness
ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)  # the second anger is
FAILED: dict[str, Any] = {"status": Status.failed, "failure": Failure("It needs a GPU.", fix="Set model.device=cpu.")}
MIRRORED = replace(FIT, weights=WeightSource("hub", endpoint="a mirror"))
FROM_A_MIRROR = "weights from a mirror, not the hub"


def rows(*runs: Run) -> list[dict[str, Any]]:
    return analysis_of(*runs).configurations.to_dict("records")


def only(*runs: Run) -> dict[str, Any]:
    """The row of the only configuration."""
    (row,) = rows(*runs)
    return row


def test_scores_of_two_seeds_are_those_computed_by_hand(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=0), TWO_WRONG), publish(tmp_path, a_record(seed=1), ONE_WRONG)]
    row = only(*runs)
    assert (row["seeds"], str(row["status"]), row["result"]) == (2, "measured", True)
    assert row["runs"] == row["counted"] == [run.name for run in runs]
    assert row["accuracy"] == 17 / 20
    assert row["spread"] == pytest.approx(0.1 / 2**0.5)  # the standard deviation of two, one degree of freedom
    # F1 is 2 TP / (2 TP + FP + FN). Seed 0: sadness 4/6, joy 1, love 2/3, anger 2/3, fear 1, surprise 1.
    # Seed 1: sadness 4/5, joy 1, love 1, anger 2/3, fear 1, surprise 1.
    assert row["macro_f1"] == pytest.approx(((4 / 6 + 2 / 3 + 2 / 3 + 3) / 6 + (4 / 5 + 2 / 3 + 4) / 6) / 2)
    interval = accuracy_interval(np.array([[True] * 8 + [False] * 2, [True] * 9 + [False]]))
    assert (row["low"], row["high"]) == (interval.low, interval.high)
    assert row["command"] == "python -m benchmark -m model=tfidf dataset=emotion recipe=paper seed=0,1"
    scores = mean_class_scores(analysis_of(*runs).results, row["counted"])
    assert scores.loc["love"].tolist() == pytest.approx([1, 0.75, (2 / 3 + 1) / 2, 2])
    assert list(scores.columns) == ["precision", "recall", "f1", "support"]
    of_one_seed = mean_class_scores(analysis_of(*runs).results, row["counted"][:1])
    assert of_one_seed.loc["love"].tolist() == pytest.approx([1, 0.5, 2 / 3, 2])


def test_the_mean_over_seeds_is_one_division(tmp_path: Path) -> None:
    right = {7: (0, 0, 0), 8: (1, 0, 0), 9: (1, 2, 0)}  # the mean of 0.7, 0.8 and 0.9 as floats is not 24/30
    runs = [publish(tmp_path, a_record("minilm", seed=n), (*GOLD[:7], *end)) for n, end in right.items()]
    assert only(*runs)["accuracy"] == 24 / 30


def test_one_seed_has_wilsons_interval_and_no_spread(tmp_path: Path) -> None:
    row = only(publish(tmp_path, a_record(), TWO_WRONG))
    assert (row["accuracy"], row["spread"], row["seeds"]) == (0.8, None, 1)
    assert (round(row["low"], 4), round(row["high"], 4)) == (0.4902, 0.9433)  # 8 of 10


def test_a_row_has_the_columns_of_its_first_counted_run(tmp_path: Path) -> None:
    failed = publish(tmp_path, a_record("smollm2_lora", seed=0, **FAILED))
    counted = publish(tmp_path, a_record("smollm2_lora", seed=1))
    row, runs = only(failed, counted), analysis_of(counted).results.runs
    assert row["run"] == counted.name
    assert {name: row[name] for name in COPIED_COLUMNS} == {name: runs[name].iloc[0] for name in COPIED_COLUMNS}
    assert set(row) == {*COPIED_COLUMNS, *COMPUTED_COLUMNS}
    assert list(analysis_of().configurations.columns) == [*COPIED_COLUMNS, *COMPUTED_COLUMNS]


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        (FAILED, "no result: failed, It needs a GPU"),
        (
            {"status": Status.interrupted, "failure": Failure("signal SIGTERM")},
            "no result: interrupted, signal SIGTERM",
        ),
        ({"status": Status.failed}, "no result: failed"),
    ],
)
def test_a_configuration_without_completed_runs_is_not_run(ended: dict[str, Any], status: str, tmp_path: Path) -> None:
    row = only(publish(tmp_path, a_record("minilm", **ended)))
    assert (str(row["status"]), row["result"], row["counted"], row["has_confidences"]) == (status, False, [], False)
    measured = ("accuracy", "low", "macro_f1", "seeds", "machine", "hardware", "training_seconds", "peak_memory")
    assert all(row[name] is None or row[name] != row[name] for name in measured)


def test_runs_that_failed_are_stated(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=0, **FAILED)), publish(tmp_path, a_record(seed=1), ONE_WRONG)]
    assert (only(*runs)["accuracy"], str(only(*runs)["status"])) == (0.9, "measured; 1 of 2 runs failed")
    runs.append(publish(tmp_path, a_record(seed=2, status=Status.interrupted)))
    assert str(only(*runs)["status"]) == "measured; 1 of 3 runs failed; 1 of 3 runs interrupted"
    assert only(*runs)["seeds"] == 1


TRAINED_HEAD = replace(FIT.weights, head="kept", trained_head=True)


@pytest.mark.parametrize(
    ("overrides", "fit", "status"),
    [
        (["dataset.train_rows=100"], FIT, "measured"),  # its recipe says so
        ([], replace(FIT, trained_parameters=0), "measured; not trained"),
        ([], replace(FIT, weights=TRAINED_HEAD), "measured; training began with a trained head"),
        ([], RANDOM_FIT, "measured; random weights, no accuracy"),
        ([], MIRRORED, f"measured; {FROM_A_MIRROR}, no accuracy"),
    ],
)
def test_what_limits_a_figure_is_stated(overrides: list[str], fit: FitReport, status: str, tmp_path: Path) -> None:
    row = only(publish(tmp_path, a_record("minilm", *overrides, fit=fit), ONE_WRONG))
    assert str(row["status"]) == status
    assert (row["accuracy"] == 0.9) == ("no accuracy" not in status)
    assert row["training_seconds"] == 90 or fit.trained_parameters == 0


@pytest.mark.parametrize("overrides", [[], ["dataset.train_rows=100"]])
def test_a_seed_with_weights_from_a_mirror_is_not_counted(overrides: list[str], tmp_path: Path) -> None:
    mirrored = publish(tmp_path, a_record("minilm", *overrides, seed=0, fit=MIRRORED), TWO_WRONG)
    counted = publish(tmp_path, a_record("minilm", *overrides, seed=1), ONE_WRONG)
    row = only(mirrored, counted)
    assert (row["accuracy"], row["seeds"]) == (0.9, 1)
    assert f"1 of 2 runs not counted: {FROM_A_MIRROR}" in row["status"].remarks


def test_what_answers_made_elsewhere_were_matched_by_is_stated(tmp_path: Path) -> None:
    record = replace(a_record("external"), matched={"id": 8, "order alone": 2})
    assert "rows matched by id: 8, order alone: 2" in only(publish(tmp_path, record))["status"].remarks


def test_rows_set_aside_for_validation_are_stated(tmp_path: Path) -> None:
    record = a_record("bert_base")
    assert record.data is not None
    row = only(publish(tmp_path, replace(record, data=replace(record.data, carved_rows=1600))))
    assert (str(row["status"]), row["repeats_study"]) == (
        "measured; 1,600 training rows set aside for validation",
        False,
    )


def test_the_share_of_answers_that_name_no_label_is_a_mean_over_seeds(tmp_path: Path) -> None:
    record = a_record("smollm2_lora", "model.readout=generate")
    runs = [
        publish(tmp_path, replace(record, digest=str(n) * 64), [NO_LABEL] * n + [*GOLD[n:]], ["words"] * 10)
        for n in (3, 4)
    ]
    assert str(only(*runs)["status"]) == "measured; 35.0% of predictions name no label"
    assert only(*runs)["accuracy"] == 0.65
    assert only(*runs)["has_confidences"] is False


def test_answers_that_all_name_no_label_are_not_called_one_label(tmp_path: Path) -> None:
    record = a_record("smollm2_lora", "model.readout=generate")
    run = publish(tmp_path, record, [NO_LABEL] * 10, ["words"] * 10)
    assert str(only(run)["status"]) == "measured; 100.0% of predictions name no label"


def test_collapsed_seeds_with_pretrained_weights_are_counted(tmp_path: Path) -> None:
    predictions = ([1] * 10, GOLD, [2] * 10)
    runs = [publish(tmp_path, a_record("minilm", seed=seed), predicted) for seed, predicted in enumerate(predictions)]
    runs.append(publish(tmp_path, a_record("minilm", seed=3, fit=MIRRORED), [1] * 10))
    assert (only(*runs)["collapsed"], only(*runs)["seeds"]) == (2, 3)
    assert "one label for every text" not in str(only(*runs)["status"])


def costs(folder: Path, seed: int, training: float, memory: int, answering: float) -> Run:
    return publish_with_costs(
        folder, "minilm", 10, training=training, memory=memory, trained=50, answering=answering, seed=seed
    )


def priced(*runs: Run) -> tuple[Any, ...]:
    row = only(*runs)
    names = ("training_seconds", "peak_memory", "trained_parameters", "seconds_per_text", "machine", "hardware")
    return tuple(row[name] for name in names)


def test_costs_are_medians_over_seeds(tmp_path: Path) -> None:
    runs = [costs(tmp_path, 0, 60, 200, 2), costs(tmp_path, 1, 70, 300, 3), costs(tmp_path, 2, 950, 301, 99)]
    machine = "A processor, 2 cores"
    assert priced(*runs) == (70, 300, 50, 3 / 200, machine, machine)


def test_costs_are_those_of_the_machine_that_ran_most_seeds(tmp_path: Path) -> None:
    gpu = on_a_gpu(costs(tmp_path, 0, 6, 400, 0.2))
    runs = [costs(tmp_path, 1, 60, 200, 2), costs(tmp_path, 2, 80, 300, 4)]
    machine = "A processor, 2 cores"
    assert priced(gpu, *runs) == (70, 250, 50, 3 / 200, machine, f"{machine} / A GPU")
    assert priced(gpu, runs[0]) == (6, 400, 50, 0.2 / 200, "A GPU", f"A GPU / {machine}")


def shared(run: Run) -> Run:
    """The run as if other jobs had used its device."""
    environment = replace(run.record.environment, device_shared=True)
    return Run(replace(run.record, environment=environment), run.folder)


def test_times_of_a_shared_device_are_not_compared(tmp_path: Path) -> None:
    runs = [costs(tmp_path, 0, 60, 200, 2), costs(tmp_path, 1, 70, 300, 3), costs(tmp_path, 2, 80, 400, 4)]
    row = only(*map(shared, runs))
    assert [row[name] for name in ("training_seconds", "seconds_per_text", "peak_memory")] == [None, None, 300]
    assert str(row["status"]) == "measured; no times: shared device"
    row = only(shared(runs[0]), *runs[1:])
    assert [row[name] for name in ("training_seconds", "seconds_per_text")] == [75, 3.5 / 200]
    assert str(row["status"]) == "measured; no times of 1 of 3 seeds: shared device"


def test_a_list_names_the_shared_times_of_older_records(tmp_path: Path) -> None:
    for seed in (0, 1):
        run = costs(tmp_path, seed, 60, 200, 2)
    (tmp_path / "shared_times.txt").write_text(f"# why\n{run.record.digest}\n")
    runs = read_results(tmp_path).runs
    assert runs["shared_time"].tolist() == [False, True]
    assert runs["training_seconds"].tolist() == [60, None]


def test_the_shipped_runs_that_shared_a_gpu_have_short_names_and_no_times(shipped: Path) -> None:
    found = configurations(read_results(shipped / "results"))
    on_gpu = found[(found["hardware"] == "NVIDIA H200") & found["result"]]
    assert {row["model"]: row["recipe"] for _, row in on_gpu.iterrows()} == {
        "minilm": "tuned, learning rate 5e-4",  # on banking77
        "mpnet_base": "tuned, padded",
        "qwen_coder_lora": "tuned, bf16, 1 epoch, batch size 64, learning rate 4e-4, padded, weights from folder qwen",
        "smollm2_lora": "tuned, bf16, batch size 64, learning rate 1.5e-3, FlashAttention-2, on cuda",
    }
    assert on_gpu[["training_seconds", "seconds_per_text"]].isna().all(axis=None)


def test_a_cost_that_one_seed_lacks_is_missing(tmp_path: Path) -> None:
    row = only(
        publish(tmp_path, a_record("minilm")), publish(tmp_path, replace(a_record("minilm", seed=1), peak_memory={}))
    )
    assert row["peak_memory"] is None
    assert row["training_seconds"] == 90


def carved(record: RunRecord) -> RunRecord:
    assert record.data is not None
    return replace(record, data=replace(record.data, carved_rows=1))


@pytest.mark.parametrize(
    ("record", "repeats"),
    [
        (a_record("bert_base"), True),
        (a_record("bert_base", seed=3, **FAILED), True),
        (replace(a_record("bert_base", **FAILED), data=None), True),
        (a_record("bert_base", "recipe.learning_rate=0.5"), False),
        (a_record("bert_base", "model.precision=bf16"), True),
        (a_record("bert_base", "recipe.max_steps=3"), False),
        (a_record("bert_base", "model.name=mine"), False),
        (carved(a_record("bert_base")), False),
        (a_record("bert_base", 'dataset.sha256={"train":"0"}'), False),
    ],
)
def test_a_run_in_any_precision_repeats_the_study_if_nothing_was_changed(
    record: RunRecord, repeats: bool, tmp_path: Path
) -> None:
    assert only(publish(tmp_path, record))["repeats_study"] is repeats


def test_texts_that_were_cut_are_counted_in_the_status(tmp_path: Path) -> None:
    record = a_record("minilm", fit=replace(FIT, truncated_texts=36))
    row = only(publish(tmp_path, replace(record, truncated_test_texts=4)))
    assert (
        str(row["status"])
        == "measured; 36 of 140 training texts cut to 512 tokens; 4 of 10 test texts cut to 512 tokens"
    )


@pytest.mark.parametrize(
    ("model", "remarks"),
    [("minilm", ("one label for every text, a constant prediction",)), ("majority", ())],
)
def test_a_model_that_learnt_to_predict_one_label_is_called_so(
    model: str, remarks: tuple[str, ...], tmp_path: Path
) -> None:
    assert only(publish(tmp_path, a_record(model), [1] * len(GOLD)))["status"].remarks == remarks


def test_configurations_with_results_are_the_most_accurate_first(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("tfidf"), ONE_WRONG),
        publish(tmp_path, a_record("minilm"), ONE_WRONG),
        publish(tmp_path, a_record("bert_base"), GOLD),
        publish(tmp_path, a_record("majority", dataset="synthetic"), GOLD),
        publish(tmp_path, a_record("bert_base", "recipe.max_steps=2"), GOLD),
        publish(tmp_path, a_record("roberta_base", **FAILED)),
    ]
    analysis = analysis_of(*runs)
    of_emotion, of_synthetic = (
        with_results(analysis.for_dataset(key).configurations) for key in ("emotion", "synthetic")
    )
    assert of_emotion["model"].tolist() == ["bert_base", "minilm", "tfidf"]  # equals by label
    assert of_synthetic["model"].tolist() == ["majority"]


def test_a_loaded_adapter_is_stated(tmp_path: Path) -> None:
    row = only(publish(tmp_path, loading(a_record("smollm2_lora", "model.adapter=mine"), "mine")))
    assert (str(row["status"]), row["trained"]) == ("measured; adapter loaded, not trained", False)


def test_rows_do_not_depend_on_the_order_of_seeds(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=seed), predicted) for seed, predicted in enumerate((ONE_WRONG, TWO_WRONG))]
    one, other = (
        rows_of(analysis_of(*order).configurations[["accuracy", "spread", "macro_f1"]]) for order in (runs, runs[::-1])
    )
    assert one == [{key: pytest.approx(value) for key, value in other[0].items()}]
