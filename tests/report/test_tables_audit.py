import pytest
from factories import table_rows, the

from benchmark.analysis import study
from benchmark.analysis.inference import mcnemar

AUDIT = table_rows("study_audit")
COMPARISONS = table_rows("study_comparisons")


def test_of_the_studys_figures_only_one_is_a_count_of_2000() -> None:
    counts = {row["study"]: row["possible_counts"] for row in AUDIT if row["study"]}
    assert counts == {0.9063: "none", 0.9086: "none", 0.9125: "1825", 0.9189: "none", 0.9262: "none"}


@pytest.mark.parametrize("row", [row for row in AUDIT if row["study"]], ids=lambda row: row["figure"])
def test_the_test_sets_said_to_fit_do_fit_and_no_smaller_one_does(row: dict[str, object]) -> None:
    def fits(rows: int) -> bool:
        return any(abs(round(right / rows, 10) - row["study"]) <= 0.00005 + 1e-12 for right in range(rows + 1))  # type: ignore[operator]

    said = [int(number) for number in str(row["fitting_rows"]).split(", ")]
    assert [rows for rows in range(1, said[-1] + 1) if fits(rows)] == said


def test_no_test_set_up_to_3083_rows_fits_all_four_encoders() -> None:
    assert the(AUDIT, figure="the four encoders")["fitting_rows"].startswith("3084,")


def test_means_of_four_or_five_runs_would_fit_every_figure() -> None:
    assert the(AUDIT, figure="all five")["fitting_runs"].startswith("4, 5")


def test_every_two_of_the_five_figures_are_compared() -> None:
    assert len(COMPARISONS) == 10
    assert {row["better"] for row in COMPARISONS} | {row["other"] for row in COMPARISONS} == set(
        study.TABLE3_TITLES.values()
    )


def test_the_studys_main_claim_is_not_significant_as_printed() -> None:
    row = the(COMPARISONS, better="Llama3-8b", other="Roberta-Large")
    assert (row["texts"], round(row["z"], 2)) == (15, 0.86)
    assert row["unpaired_p"] > 0.3
    assert row["significance"] == "unknown without the predictions"


def test_five_texts_are_too_few_at_best() -> None:
    row = the(COMPARISONS, better="Bert-Large", other="Bert-Base")
    assert (row["texts"], row["best_p"], row["most_discordant"]) == (5, 0.0625, None)
    assert row["significance"] == "impossible"


@pytest.mark.parametrize("row", [row for row in COMPARISONS if row["most_discordant"]])
def test_one_more_pair_of_discordant_texts_would_hide_the_difference(row: dict[str, int]) -> None:
    losses = (row["most_discordant"] - row["texts"]) // 2
    assert mcnemar(row["texts"] + losses, losses) < 0.05 <= mcnemar(row["texts"] + losses + 1, losses + 1)
