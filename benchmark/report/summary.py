"""The answer and the findings: a few sentences over the tables, worded by the templates `*.md.jinja`."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import is_sized_network, smallest_network
from benchmark.analysis.costs import significant_leads
from benchmark.analysis.names import exponential
from benchmark.report.data_set_leads import leads_by_data_set
from benchmark.report.formats import markdown_text
from benchmark.report.table import Table
from benchmark.report.tables.audit import impossible_accuracies
from benchmark.report.tables.label_noise import STRONG
from benchmark.report.tables.paired import CHANGES, ROBUSTNESS
from benchmark.report.wording import Row, four_decimals, jinja_environment, listed, seed_count

SEARCHES = ("tune", "tune_cpu")  # recipes of the experiments that compare learning rates on the validation split
HOURS = 365 * 24  # of a year
TIMES = ("training_seconds", "seconds_per_text")


def answer(analysis: AnalysedResults, tables: dict[Table, pd.DataFrame]) -> list[str]:
    """The paragraphs that answer the question of the report; the first says at least as much as the first finding.

    They are about the study's data set if there are runs on it, else about the one with most configurations.
    """
    return _paragraphs("answer.md.jinja", analysis, tables)


def findings(analysis: AnalysedResults, tables: dict[Table, pd.DataFrame], dataset: str | None = None) -> list[str]:
    """The sentences of the template about one data set, by default the data set of the answer."""
    return _paragraphs("findings.md.jinja", analysis, tables, dataset)


def messages(analysis: AnalysedResults, tables: dict[Table, pd.DataFrame]) -> dict[str, list[str]]:
    """The findings about the study's data set that open a section of the page, by the section's name."""
    if study.DATASET not in analysis.datasets:
        return {}
    return {name: _paragraphs(f"{name}.md.jinja", analysis, tables, study.DATASET) for name in ("confidence", "errors")}


def _paragraphs(
    template: str, analysis: AnalysedResults, tables: dict[Table, pd.DataFrame], dataset: str | None = None
) -> list[str]:
    about = dataset or next(iter(analysis.datasets), study.DATASET)
    text = jinja_environment().get_template(template).render(facts(analysis.for_dataset(about), tables, about))
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def facts(analysis: AnalysedResults, tables: dict[Table, pd.DataFrame], dataset: str = study.DATASET) -> dict[str, Any]:
    """The values that the templates put into their sentences."""
    about_study = dataset == study.DATASET
    own_tables = _tables_about(dataset, tables)
    comparable = [dict(row) for _, row in analysis.comparable.iterrows()]
    by_cost = _about_cost(analysis, comparable, own_tables["dollars"])
    return {
        "study": study,
        "dataset": dataset,
        "about_study": about_study,
        "runs": len(analysis.results.runs),
        **_about_the_best(analysis, comparable),
        **_about_size(analysis, comparable, tables),
        **by_cost,
        "projected": (projected := _projected(own_tables["projected_dollars"])),
        "idle": [HOURS * row["per_hour"] for row in (projected, by_cost["priced"]) if row],
        **_about_use(comparable, own_tables),
        "changed": _most_harmful_change(tables.get(ROBUSTNESS, pd.DataFrame()), dataset),
        "left_out": _left_out_of_names(analysis),
        "elsewhere": leads_by_data_set(tables, dataset) if about_study else {"gains": [], "leads": []},
        **(_about_the_study(analysis, own_tables["table3_accuracy"]) if about_study else {}),
        "impossible": impossible_accuracies().values() if about_study else [],
    }


def _tables_about(dataset: str, tables: dict[Table, pd.DataFrame]) -> defaultdict[str, pd.DataFrame]:
    """The tables about a data set by their plain names; all tables for the study's. A missing table is empty."""
    suffix = "" if dataset == study.DATASET else f"_{dataset}"
    about = {table: data for table, data in tables.items() if suffix == "" or table.dataset == dataset}
    named = {table.name.removesuffix(suffix): data for table, data in about.items()}
    return defaultdict(pd.DataFrame, named)


def _about_the_best(analysis: AnalysedResults, comparable: list[Row]) -> dict[str, Any]:
    """The most accurate model, the models tied with it, and the smallest network that no model leads."""
    if not comparable:
        return {"best": None, "tied": [], "next": None, "smaller": None, "lead": None}
    best, *others = comparable
    rivals = [row for row in others if not _same_training(best, row)]
    smaller = _smaller(analysis, comparable)
    return {
        "best": best,
        "tied": [row for row in rivals if not _differ(analysis, best, row)],
        "next": rivals[0] if rivals else None,
        "smaller": smaller,
        "lead": _pair(analysis, best, smaller) if smaller else None,
    }


def _about_size(
    analysis: AnalysedResults, comparable: list[Row], tables: Mapping[Table, pd.DataFrame]
) -> dict[str, Any]:
    """The networks of different sizes that do not differ, and how they compare with the study's figure."""
    networks, printed = _networks(analysis, comparable), study.TABLE3[study.DECODERS[0]]
    searched = _searched_rates(analysis)
    return {
        "smallest": smallest_network(comparable),
        "networks": networks,
        "largest_remarks": _remarks(analysis, networks[-1]) if networks else "",
        "from_four_bits": [row["title"] for row in networks if _starts_from_four_bits(analysis, row)],
        "searched": [row["title"] for row in networks if row["model"] in searched],
        "not_searched": [row["title"] for row in networks if row["model"] not in searched],
        "at_highest_rate": [
            row["title"]
            for row in networks
            if row["model"] in searched and _rate(analysis, row) == max(searched[row["model"]])
        ],
        "low_rates": [
            {"title": row["title"], "rate": exponential(_rate(analysis, row)), "datasets": datasets}
            for row in networks
            if row["model"] not in searched and (datasets := _with_higher_rates(row, _rate(analysis, row), tables))
        ],
        "detectable": _detectable(analysis, networks),
        "contains_printed": all(row["low"] <= printed <= row["high"] for row in networks),
    }


def _about_cost(analysis: AnalysedResults, comparable: list[Row], dollars: pd.DataFrame) -> dict[str, Any]:
    """The most accurate trained model with measured times, and a faster one that is tied with it."""
    timed = next((row for row in comparable if row["trained"] and _has_times(row)), None)
    cheaper = _cheaper(analysis, timed, comparable) if timed else None
    return {
        "timed": timed,
        "cheaper": cheaper,
        "cheaper_lead": _pair(analysis, timed, cheaper) if timed and cheaper else None,
        "prices": _prices(dollars, cheaper, timed),
        "priced": _row_with(dollars, "configuration", cheaper["configuration"]) if cheaper else None,
    }


def _about_use(comparable: list[Row], own_tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The confidences of the best model, wrong test labels, and few training texts."""
    best = comparable[0]["configuration"] if comparable else None
    return {
        "decision": _row_with(own_tables["decisions"], "configuration", best) if best else None,
        "noise": _row_with(own_tables["label_noise"], "criterion", STRONG),
        "few": _few_texts(own_tables["learning_curve"]),
    }


def _left_out_of_names(analysis: AnalysedResults) -> list[str]:
    """The settings that the short name of a model's best configuration leaves out, with the model's title."""
    left_out = []
    for _, row in analysis.comparable.drop_duplicates("model").iterrows():
        named = row["short_name"].split(", ")
        settings = [setting for setting in row["recipe"].split(", ") if not setting.startswith("weights from folder")]
        rest = [setting for setting in settings if setting not in named]
        left_out += [f"{row['title']} ({', '.join(rest)})"] if rest else []
    return left_out


def _same_training(one: Row, other: Row) -> bool:
    """Whether one of the two only reads out what the other trained."""
    return one["trained_by"] in other["runs"] or other["trained_by"] in one["runs"]


def _differ(analysis: AnalysedResults, one: Row, other: Row) -> bool:
    return bool(_pairs_of(analysis, one, other)["differs"].any())


def _pair(analysis: AnalysedResults, one: Row, other: Row) -> Row:
    """The comparison of two configurations, the more accurate one with the other."""
    return dict(_pairs_of(analysis, one, other).iloc[0])


def _pairs_of(analysis: AnalysedResults, one: Row, other: Row) -> pd.DataFrame:
    """The comparison of two configurations as a table of one row, or of none if they were not compared."""
    pairs, ids = analysis.comparisons, {one["configuration"], other["configuration"]}
    return pairs[pairs["better"].isin(ids) & pairs["other"].isin(ids)]


def _smaller(analysis: AnalysedResults, comparable: list[Row]) -> Row | None:
    """The smallest network that no model leads significantly, if it is smaller than the best model."""
    led = {other for _, other in significant_leads(analysis.comparisons)}
    smallest = smallest_network([row for row in comparable if row["configuration"] not in led])
    size = comparable[0]["parameters"] if comparable else None
    return smallest if smallest and size is not None and smallest["parameters"] < size else None


def _networks(analysis: AnalysedResults, comparable: list[Row]) -> list[Row]:
    """The best configuration of each kind and size of network, the smallest first; none if two of them differ."""
    best: dict[tuple[str, int], Row] = {}
    for row in comparable:
        if is_sized_network(row):
            best.setdefault((row["kind"], row["parameters"]), row)
    networks = sorted(best.values(), key=lambda row: row["parameters"])
    differ = any(_differ(analysis, one, other) for one, other in combinations(networks, 2))
    return [] if differ or len(networks) < 2 else networks


def _rate(analysis: AnalysedResults, row: Row) -> float:
    """The learning rate of a configuration."""
    return analysis.results.runs_by_name[row["run"]].record.config.recipe.learning_rate


def _searched_rates(analysis: AnalysedResults) -> dict[str, set[float]]:
    """The learning rates of each model from which one was chosen on the validation split, if there were several."""
    rates: defaultdict[str, set[float]] = defaultdict(set)
    for name in analysis.configurations["run"]:
        record = analysis.results.runs_by_name[name].record
        if record.recipe in SEARCHES:
            rates[record.model].add(record.config.recipe.learning_rate)
    return {model: tried for model, tried in rates.items() if len(tried) > 1}


def _with_higher_rates(row: Row, rate: float, tables: Mapping[Table, pd.DataFrame]) -> list[str]:
    """The data sets whose trials of a model were best on validation with a higher rate; empty if one's were not."""
    better = {}
    for table, trials in tables.items():
        if table.name.startswith("tuning_") and len(trials):
            of_model = trials[trials["model"] == row["title"]].sort_values("validation_accuracy", kind="stable")
            if rate in of_model["learning_rate"].tolist():
                better[str(table.dataset)] = of_model["learning_rate"].iloc[-1] > rate
    return sorted(better) if all(better.values()) else []


def _detectable(analysis: AnalysedResults, networks: list[Row]) -> float | None:
    """The difference that the tests between these networks find with 80% power; None if it is not known."""
    differences = [_pair(analysis, *pair)["detectable"] for pair in combinations(networks, 2)]
    return max((difference for difference in differences if pd.notna(difference)), default=None)


def _remarks(analysis: AnalysedResults, largest: Row) -> str:
    """What limits the result of the largest network: pretrained on code, one seed, one epoch."""
    entry = analysis.results.catalogue.get(largest["model"])
    limits = ["a code model"] if entry is not None and entry.config.model.facts.code_model else []
    limits += [seed_count(largest)] if largest["seeds"] == 1 else []
    if analysis.results.runs_by_name[largest["run"]].record.config.recipe.epochs == 1:
        limits.append("one epoch")
    return listed(limits) if limits else ""


def _starts_from_four_bits(analysis: AnalysedResults, row: Row) -> bool:
    entry, fit = analysis.results.catalogue.get(row["model"]), analysis.results.runs_by_name[row["run"]].record.fit
    from_hub = fit is not None and fit.weights.source == "hub"
    return entry is not None and entry.config.model.facts.four_bit_weights and not from_hub


def _cheaper(analysis: AnalysedResults, timed: Row, comparable: list[Row]) -> Row | None:
    """The model tied with `timed` that trains fastest on the same machine, if that is twice as fast or more."""
    same_machine = [
        row
        for row in comparable
        if row["machine"] == timed["machine"] and _has_times(row) and not _differ(analysis, timed, row)
    ]
    fastest = min(same_machine, key=lambda row: row["training_seconds"])
    return fastest if 2 * fastest["training_seconds"] <= timed["training_seconds"] else None


def _has_times(row: Row) -> bool:
    return all(pd.notna(row[cost]) for cost in TIMES)


def _prices(dollars: pd.DataFrame, *rows: Row | None) -> list[float]:
    """What training and a year of predictions cost with each row; empty if one of them has no price."""
    priced = [row and _row_with(dollars, "configuration", row["configuration"]) for row in rows]
    yearly = [row["year_dollars"] for row in priced if row is not None]
    prices = [float(price) for price in yearly if pd.notna(price)]
    return prices if len(prices) == len(rows) else []


def _projected(projections: pd.DataFrame) -> Row | None:
    """What the study's large model would cost, computed from its speed with the smallest batch measured."""
    return _row_with(projections, "name", study.DECODERS[0])


def _row_with(table: pd.DataFrame, column: str, value: Any) -> Row | None:
    """The first row of the table with this value."""
    return next((dict(row) for _, row in table.iterrows() if row[column] == value), None)


def _few_texts(curves: pd.DataFrame) -> dict[str, Any] | None:
    """The points at about a tenth of the training rows: at the nearest number that most learning curves have."""
    if curves.empty:
        return None
    most = curves["train_rows"].max()
    whole = curves[curves["curve"].isin(curves.loc[curves["train_rows"] == most, "curve"])]
    sizes = whole.loc[whole["train_rows"] < most, "train_rows"].value_counts().sort_index()
    if sizes.empty or sizes.max() < 2:
        return None
    common = sizes[sizes == sizes.max()].index.to_numpy(dtype=float)
    few = int(common[np.abs(np.log(10 * common / most)).argmin()])
    points = whole[whole["train_rows"] == few].sort_values("accuracy", ascending=False, kind="stable")
    with_all_rows = whole[whole["train_rows"] == most].set_index("curve")["accuracy"]
    recipe = "" if points["model"].is_unique else ", " + points["recipe"] + ", " + points["rows"] + " rows"
    points = points.assign(name=points["model"] + recipe, whole=points["curve"].map(with_all_rows))
    rows = [dict(row) for _, row in points.iterrows()]
    return {"rows": few, "most": int(most), "points": rows}


def _most_harmful_change(robustness: pd.DataFrame, dataset: str) -> dict[str, Any] | None:
    """The change of a data set's test texts that costs most accuracy, and what it costs each model.

    An added negation does not count, because it may change the right label.
    """
    if len(robustness):
        robustness = robustness[(robustness["tested_on"] == dataset) & (robustness["perturbation"] != "negation")]
    if robustness.empty or robustness["difference"].min() >= 0:
        return None
    worst = str(robustness.sort_values("difference", kind="stable")["perturbation"].iloc[0])
    rows = robustness[(robustness["perturbation"] == worst) & (robustness["difference"] < 0)]
    losses = [
        f"from {four_decimals(row['before'])} to {four_decimals(row['after'])} ({markdown_text(row['model'])})"
        for row in rows.to_dict("records")
    ]
    return {"what": CHANGES[worst], "losses": losses, "one_seed": bool((rows["seeds"] == 1).all())}


def _about_the_study(analysis: AnalysedResults, table3: pd.DataFrame) -> dict[str, Any]:
    """The study's models: repeated under its settings, run otherwise, and not run."""
    rows = {row["configuration"]: dict(row) for _, row in analysis.configurations.iterrows()}
    measured = table3[table3["accuracy"].notna() & table3["name"].isin(study.TABLE3)]
    repeated = measured[measured["study"].notna()]
    otherwise = measured[~measured["name"].isin(repeated["name"])].sort_values(
        "accuracy", ascending=False, kind="stable"
    )
    otherwise = otherwise.drop_duplicates("name")
    measured_rows = {row["name"]: rows[row["configuration"]] for _, row in repeated.iterrows()}
    decoder = next((measured_rows[name] for name in study.DECODERS if name in measured_rows), None)
    encoder = max(
        (row for name, row in measured_rows.items() if name not in study.DECODERS),
        key=lambda row: row["accuracy"],
        default=None,
    )
    return {
        "repeated": [measured_rows[name] for name in study.TABLE3 if name in measured_rows],
        "otherwise": [rows[configuration] for configuration in otherwise["configuration"]],
        "missing": [study.TABLE3_TITLES[name] for name in study.TABLE3 if name not in set(measured["name"])],
        "pair": (decoder, encoder) if decoder and encoder else None,
        "pair_differs": decoder is not None and encoder is not None and _differ(analysis, decoder, encoder),
    }
