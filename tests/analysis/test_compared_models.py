import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from answer_files import CORRECT, GOLD, PREDICTED, every_format, label_rows, write_csv
from factories import RANDOM_FIT, a_record, publish, publish_many, wrong_at

from benchmark.analysis.compared_models import read_models
from benchmark.errors import BenchmarkError
from benchmark.results.record import Status


def test_runs_of_one_configuration_are_seeds_of_one_model(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(seed, 9))) for seed in (0, 1)]
    runs.append(publish_many(tmp_path, a_record("tfidf"), wrong_at(range(40))))
    files = [runs[0].folder, runs[1].folder / "predictions.parquet", runs[2].folder / "record.json"]
    compared = read_models(list(map(str, files)), {})
    assert [correct.shape for correct in compared.correct.values()] == [(2, 200), (1, 200)]
    assert [int(correct.sum()) for correct in compared.correct.values()] == [383, 160]
    assert list(compared.models.values()) == [(0, 1), (2,)]
    assert compared.aligned.by == "id (test-#)"
    assert compared.aligned.files[2][0].gold != compared.aligned.files[2][0].predicted == "joy"


def test_files_of_one_name_are_seeds_of_one_model(tmp_path: Path) -> None:
    first, second = (write_csv(tmp_path / f"{n}.csv", label_rows(p)) for n, p in enumerate((PREDICTED, GOLD)))
    compared = read_models([f"mine={first},{second}"], {})
    assert np.array_equal(compared.correct["mine"], [CORRECT, [True] * 6])


def test_the_most_accurate_model_is_first(tmp_path: Path) -> None:
    worse = write_csv(tmp_path / "worse.csv", label_rows())
    better = write_csv(tmp_path / "better.csv", label_rows(GOLD))
    assert list(read_models([str(worse), str(better)], {}).correct) == ["better", "worse"]


def test_models_with_equal_names_are_told_apart_by_their_files(tmp_path: Path) -> None:
    files = []
    for name, predicted in (("one", PREDICTED), ("two", GOLD)):
        (tmp_path / name).mkdir()
        files.append(str(write_csv(tmp_path / name / "mine.csv", label_rows(predicted))))
    assert list(read_models(files, {}).models) == [f"mine, {files[0]}", f"mine, {files[1]}"]


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a=b,c.csv", label_rows())
    assert list(read_models([str(path)], {}).models) == ["a=b,c"]


def test_copies_and_runs_without_an_accuracy_are_refused(tmp_path: Path) -> None:
    run = publish(tmp_path / "a", a_record("tfidf"))
    copy = publish(tmp_path / "b", replace(a_record("tfidf"), finished="2026-01-02T10:00:00+00:00"))
    same_run = tmp_path / "copied"
    shutil.copytree(run.folder, same_run)
    other = publish(tmp_path / "a", a_record("roberta_base"))
    failed = publish(tmp_path / "a", a_record("minilm", status=Status.failed))
    stand_in = publish(tmp_path / "a", a_record("bert_base", fit=RANDOM_FIT))
    table, same = (write_csv(tmp_path / name, label_rows()) for name in ("a.csv", "b.csv"))
    for given, named in (
        ([run.folder, copy.folder], copy.folder),
        ([same_run, run.folder], run.folder),
        ([run.folder, other.folder, same_run], same_run),
        ([table, table], table),
        ([f"mine={table}", f"mine={same}"], same),
        ([failed.folder], failed.folder),
        ([stand_in.folder], stand_in.folder),
        ([tmp_path / "a"], tmp_path / "a"),
        ([tmp_path / "absent.csv"], tmp_path / "absent.csv"),
    ):
        with pytest.raises(BenchmarkError) as refused:
            read_models(list(map(str, given)), {})
        assert str(named) in refused.value.problem
        assert refused.value.fix


def test_changed_predictions_of_a_run_are_refused(tmp_path: Path) -> None:
    run, other = publish(tmp_path, a_record("tfidf")), publish(tmp_path, a_record("minilm"), [0] * 10)
    (run.folder / "predictions.parquet").write_bytes((other.folder / "predictions.parquet").read_bytes())
    with pytest.raises(BenchmarkError, match=r"predictions\.parquet is not the file"):
        read_models([str(run.folder)], {})


@pytest.mark.parametrize("option", ["metric", "filter"])
def test_a_choice_that_no_file_reads_is_refused(option: str, tmp_path: Path) -> None:
    run, files = publish(tmp_path, a_record("tfidf")), every_format(tmp_path)
    for labels in (run.folder, files["csv"], files["LLaMA-Factory"]):
        with pytest.raises(BenchmarkError, match=f"--{option} has no effect"):
            read_models([str(labels)], {option: ["f1"]})
    if option == "filter":
        with pytest.raises(BenchmarkError, match="--filter has no effect"):
            read_models([str(files["lighteval"])], {"metric": ["loglikelihood_acc"], "filter": ["strict"]})


def test_a_choice_is_for_the_files_that_read_it(tmp_path: Path) -> None:
    files = every_format(tmp_path)
    chosen = {"lm-eval": "exact_match", "lighteval": "loglikelihood_acc", "Every Eval Ever": "mood"}
    for name, metric in chosen.items():
        compared = read_models([str(files["csv"]), str(files[name])], {"metric": [metric]})
        assert [correct.tolist() for correct in compared.correct.values()] == [[list(CORRECT)]] * 2
