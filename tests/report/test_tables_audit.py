import pytest
from factories import row_with, table_rows

from benchmark.analysis import study
from benchmark.analysis.inference import mcnemar
from benchmark.report.tables import audit

AUDIT = table_rows("study_audit")
COMPARISONS = table_rows("study_comparisons")


def test_only_one_figure_of_the_study_is_a_count_of_2000() -> None:
    counts = {row["study"]: row["possible_counts"] for row in AUDIT if row["study"]}
    assert counts == {0.9063: "none", 0.9086: "none", 0.9125: "1,825", 0.9189: "none", 0.9262: "none"}


def test_the_nearest_counts_enclose_a_figure() -> None:
    nearest = {row["study"]: row["nearest"] for row in AUDIT if row["study"]}
    assert nearest[0.9063] == "1,812/2,000 = 0.9060, 1,813/2,000 = 0.9065"
    assert nearest[0.9125] == "1,825/2,000 = 0.9125"


@pytest.mark.parametrize("row", [row for row in AUDIT if row["study"]], ids=lambda row: row["figure"])
def test_the_test_sets_that_fit_a_figure_are_the_three_smallest(row: dict[str, float]) -> None:
    def fits(rows: int) -> bool:
        return any(abs(round(right / rows, 10) - row["study"]) <= 0.00005 + 1e-12 for right in range(rows + 1))

    named = [int(number) for number in str(row["fitting_rows"]).split(", ")]
    assert len(named) == 3
    assert [rows for rows in range(1, named[-1] + 1) if fits(rows)] == named


def test_several_figures_at_once_need_a_test_set_or_runs_that_fit_all() -> None:
    encoders, every = (row_with(AUDIT, figure=name) for name in ("the four encoders", "all five"))
    assert encoders["fitting_rows"].startswith("3,084, ")
    assert every["fitting_runs"] == "4, 5, 6"
    assert (encoders["study"], every["nearest"]) == (None, None)
    alone = {row["study"]: row["fitting_runs"] for row in AUDIT if row["study"]}
    assert (alone[0.9063], alone[0.9086], alone[0.9125]) == ("2, 3, 4", "4, 5, 6", "1, 2, 3")


@pytest.mark.parametrize(("most", "fitting"), [(3, "none up to 3"), (4, "4")])
def test_the_search_for_numbers_of_runs_has_a_limit(most: int, fitting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_RUNS", most)
    assert row_with(table_rows("study_audit"), figure="all five")["fitting_runs"] == fitting


def test_every_two_of_the_five_figures_are_compared() -> None:
    assert len(COMPARISONS) == 10
    assert {row[side] for row in COMPARISONS for side in ("better", "other")} == set(study.TABLE3_TITLES.values())
    assert all(row["difference"] > 0 for row in COMPARISONS)


def test_the_main_claim_of_the_study_is_not_significant_as_printed() -> None:
    assert row_with(COMPARISONS, better="Llama 3 8B", other="RoBERTa large") == {
        "better": "Llama 3 8B",
        "other": "RoBERTa large",
        "difference": 0.0073,
        "texts": 15,
        "z": 0.8636,
        "unpaired_p": 0.3878,
        "adjusted_p": 1.0,
        "best_p": 6.104e-05,
        "most_discordant": 51,
        "significance": "not known",
    }


@pytest.mark.parametrize(
    ("better", "other", "significance", "texts", "best_p"),
    [
        ("BERT large", "BERT base", "impossible", 5, 0.0625),
        ("Llama 3 8B", "BERT base", "not known", 40, 1.819e-12),
    ],
)
def test_the_significance_is_what_a_test_could_find(
    better: str, other: str, significance: str, texts: int, best_p: float
) -> None:
    row = row_with(COMPARISONS, better=better, other=other)
    assert (row["significance"], row["texts"], row["best_p"]) == (significance, texts, best_p)
    assert (row["most_discordant"] is None) == (significance == "impossible")


def test_an_unpaired_p_is_corrected_for_all_pairs() -> None:
    row = row_with(COMPARISONS, better="Llama 3 8B", other="BERT base")
    assert (row["unpaired_p"], row["adjusted_p"]) == (0.0231, 0.231)


@pytest.mark.parametrize("row", [row for row in COMPARISONS if row["most_discordant"]])
def test_one_more_pair_of_discordant_texts_would_hide_the_difference(row: dict[str, int]) -> None:
    losses = (row["most_discordant"] - row["texts"]) // 2
    assert mcnemar(row["texts"] + losses, losses) < 0.05 <= mcnemar(row["texts"] + losses + 1, losses + 1)
