"""Sentences on how far the most accurate model leads on each data set."""

from collections.abc import Mapping

import pandas as pd

from benchmark.analysis.comparisons import DIFFER
from benchmark.analysis.configurations import NETWORKS
from benchmark.report.formats import markdown_text
from benchmark.report.table import Table
from benchmark.report.wording import four_decimals


def leads_by_data_set(tables: Mapping[Table, pd.DataFrame], dataset: str) -> dict[str, list[str]]:
    """How far the most accurate model is above TF-IDF on each data set, and its significant leads on other data sets.

    `gains` are phrases, with the data set of the answer first, `leads` sentences.
    """
    by_name = {table.name: data for table, data in tables.items()}
    data_sets = by_name.get("data_sets", pd.DataFrame(columns=["dataset", "gain"]))
    found: dict[str, list[str]] = {"gains": [], "leads": []}
    for name, rows in data_sets.groupby("dataset", sort=False):
        best, others = rows.iloc[0], rows.iloc[1:]
        networks = others[others["kind"].isin(NETWORKS)]
        if pd.isna(best["gain"]):
            continue
        model, on = markdown_text(best["model"]), markdown_text(str(name))
        pairs = by_name.get(f"pairwise_{name}", pd.DataFrame(columns=["better_id", "other_id", "verdict"]))
        led = pairs[(pairs["better_id"] == best["configuration"]) & (pairs["verdict"] == DIFFER)]
        significantly = networks[networks["configuration"].isin(led["other_id"])]
        if best["kind"] not in NETWORKS:
            model += "" if len(networks) else "; no network was tested"
        elif networks.empty:
            model += "; the only network tested"
        elif name != dataset:
            above = "not significantly" if significantly.empty else "significantly"
            other = networks.iloc[-1] if significantly.empty else significantly.iloc[0]
            model += f"; {above} above {markdown_text(other['model'])}"
            found["leads"] += [_significant_lead(on, best, other, led)] if len(significantly) else []
        found["gains"].append(f"{four_decimals(best['gain'])} on {on} ({model})")
    return found


def _significant_lead(dataset: str, better: pd.Series, other: pd.Series, led: pd.DataFrame) -> str:
    """A sentence with both accuracies, their difference and its interval."""
    pair = led[led["other_id"] == other["configuration"]].iloc[0]
    interval = f"95% interval {four_decimals(pair['low'])} to {four_decimals(pair['high'])}"
    return (
        f"On {dataset}, {_named_model(better)} is significantly more accurate than {_named_model(other)}, by "
        f"{four_decimals(pair['difference'])} ({interval})."
    )


def _named_model(row: pd.Series) -> str:
    return f"{markdown_text(row['model'])} ({four_decimals(row['accuracy'])})"
