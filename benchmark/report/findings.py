"""What the tables come to, in sentences for the README; every figure is taken from the evidence."""

from collections import Counter

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.audit import study_audit, study_comparisons
from benchmark.analysis.comparisons import Field, fields
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.frontier import AXES, Offer, dominating, offers
from benchmark.analysis.learning import Point, curves
from benchmark.analysis.statistics import accuracy_interval
from benchmark.analysis.variants import Variant, read_again, repeats_study, with_results
from benchmark.report.answer import answer
from benchmark.report.tables import TABLES
from benchmark.report.wording import duration, milliseconds, times

LONG_TABLES = {
    "pairwise": "all pairs",
    "ties": "tied groups",
    "seeds": "every seed",
    "per_class": "scores by label",
    "test_views": "without test texts that occur in train",
    "selective": "calibration and sure answers only",
    "frontier": "costs",
    "learning_curve": "training rows",
    "readouts": "read-outs",
    "tuning": "trials of the learning rate",
    "confused_pairs": "confused labels",
    "hard_items": "texts that all get wrong",
    "study_audit": "the study's figures",
    "study_comparisons": "the study's comparisons",
}
"""Tables that stay in results/tables, and what the README calls them."""
SMALL = 10**9  # parameters, below which a network is


def findings(evidence: Evidence) -> list[str]:
    """The report's answer, then what leads, what is paid, what few texts teach, what the study's figures can mean."""
    table3 = TABLES["table3_accuracy"](evidence)
    return [
        *answer(table3, TABLES["ties"](evidence), evidence),
        *_smallest(evidence),
        *_not_run(table3, evidence),
        *(sentence for field in fields(evidence)[:1] if field.comparisons for sentence in _lead(field, evidence)),
        *_recipes(evidence),
        *_bill(evidence),
        *_few_texts(evidence),
        *_dominated(evidence),
        *_audit(evidence),
    ]


def more() -> str:
    """Where the rest can be read."""
    return "More: " + ", ".join(f"[{name}](results/tables/{table}.md)" for table, name in LONG_TABLES.items()) + "."


def _smallest(evidence: Evidence) -> list[str]:
    """What the smallest network trained here reaches, at its best, beside the study's best figure."""
    best, printed = max(study.TABLE3.items(), key=lambda one: one[1])
    networks = [
        (card.parameters, variant)
        for variant in with_results(evidence)
        if (record := variant.leading.record).trained
        and (card := record.card) is not None
        and card.parameters is not None
    ]
    if not networks:
        return []
    parameters, smallest = min(networks, key=lambda network: network[0])  # the first is the most accurate of its size
    interval = accuracy_interval(smallest.correct)
    place = "below" if interval.high < printed else "above" if interval.low > printed else "around"
    whole = (
        f"With {parameters / 1e6:,.1f} million parameters {smallest.name} reaches {smallest.accuracy:.4f} on "
        f"{' / '.join(smallest.hardware)}; its 95% interval, {interval.low:.4f} to {interval.high:.4f}, lies {place} "
        f"the {printed:.4f} that the study printed for {study.TABLE3_TITLES[best]}. Without the study's predictions "
        "no test can say more."
    )
    return [whole]


def _lead(field: Field, evidence: Evidence) -> list[str]:
    """How far the most accurate is ahead of the next it is not tied with, and when two are said to differ.

    The next is one of another kind, if there is any, that is trained at all; else another model.
    """
    best, others = field.variants[0], len(field.variants) - 1
    against = field.comparisons[:others]
    behind = [pair for pair in against if pair.differs and pair.other.first.model != best.first.model]
    trained_kinds = (pair for pair in behind if _kind(pair.other) not in ("constant", _kind(best)))
    apart = next(trained_kinds, behind[0] if behind else None)
    lead = []
    if apart is not None:
        lead.append(
            f"{best.name} leads {apart.other.name} by {apart.difference:.4f} (95% interval {apart.interval.low:.4f} to "
            f"{apart.interval.high:.4f}): {apart.wins:,.0f} texts only the first gets right, {apart.losses:,.0f} only "
            "the second."
        )
    leading = best.leading.record
    rival = next((pair for pair in against if not read_again(pair.other.leading.record, leading, evidence)), None)
    power = ""
    if rival is not None and rival.detectable is not None:
        power = (
            f" To be found in 4 cases of 5 by McNemar's test at its strictest correction, the best model's lead over "
            f"{rival.other.name} would have to be {rival.detectable:.4f}."
        )
    rule = (
        "Two results count as different if two tests agree on it, McNemar's exact test (Holm's correction, pairs "
        f"compared: {len(field.comparisons)}) and a paired bootstrap over seeds and texts; otherwise they are "
        f"tied.{power}"
    )
    return [*lead, rule]


def _recipes(evidence: Evidence) -> list[str]:
    """What each network reaches under the study's recipe, and at its best under any other that was tried here."""
    found = [variant for variant in with_results(evidence) if variant.leading.record.trained]
    told = []
    for plain in found:
        network = plain.first.config["model"]["family"] in ("encoder", "decoder")
        best = next((other for other in found if other.first.model == plain.first.model and other != plain), None)
        if network and best is not None and repeats_study(plain, evidence):
            told.append(
                f"{plain.first.title} {plain.accuracy:.4f} against {best.accuracy:.4f} ({best.recipe}), "
                f"{_verdict(evidence, plain, best)}"
            )
    return [f"The study's recipe against the best other one tried here: {'; '.join(told)}."] if told else []


def _bill(evidence: Evidence) -> list[str]:
    """The most accurate of each family and its price, the dearest first, and what that one gets for its price.

    Of those timed on the machine that timed most kinds; of several such, that of the most accurate.
    """
    machines: dict[str, dict[str, Offer]] = {}
    for offer in offers(evidence):
        timed = {"training_seconds", "seconds_per_text"} <= offer.costs.keys()
        if timed and (kind := _kind(offer.variant)) != "constant":
            machines.setdefault(offer.hardware, {}).setdefault(kind, offer)
    best = max(machines.values(), key=len, default={})
    bills = sorted(best.values(), key=lambda offer: -offer.costs["training_seconds"])
    if len(bills) < 2:
        return []
    priced = "; ".join(
        f"{offer.variant.name}: {offer.accuracy:.4f} for {duration(offer.costs['training_seconds'])} of training and "
        f"{milliseconds(offer.costs['seconds_per_text'])} a text"
        for offer in bills
    )
    dear, cheap = bills[:2]
    training, answering = (dear.costs[axis] / cheap.costs[axis] for axis in ("training_seconds", "seconds_per_text"))
    whole = (
        f"The best of each kind timed on {bills[0].hardware}, and its price: {priced}. The first takes "
        f"{times(training)} the training of the second and {times(answering)} its time to answer; in accuracy that "
        f"makes {dear.accuracy - cheap.accuracy:+.4f}, {_verdict(evidence, dear.variant, cheap.variant)}."
    )
    return [whole]


def _few_texts(evidence: Evidence) -> list[str]:
    """What the learning curves reach with the fewest training texts that most of them had, the best first."""
    found = [(curve.name, {point.rows: point for point in curve.points}) for curve in curves(evidence)]
    most = max((rows for _, reached in found for rows in reached), default=0)
    whole = [(name, reached) for name, reached in found if most in reached]
    sizes = Counter(rows for _, reached in whole for rows in reached if rows < most)
    few, curves_with = max(sizes.items(), key=lambda size: (size[1], -size[0]), default=(0, 0))  # trials stand alone
    if curves_with < 2:
        return []
    compared = sorted((one for one in whole if few in one[1]), key=lambda one: -one[1][few].accuracy)
    told = "; ".join(
        f"{name} {_after_steps(reached[few])} in place of {_after_steps(reached[most])}" for name, reached in compared
    )
    steps = any(reached[few].steps for _, reached in compared)
    how = ", for networks as many epochs and so fewer steps" if steps else ""
    return [f"With {few:,} training texts in place of {most:,}{how}: {told}."]


def _after_steps(point: Point) -> str:
    return f"{point.accuracy:.4f}" + (f" ({point.steps:,} steps)" if point.steps else "")


def _kind(variant: Variant) -> str:
    return str(variant.first.config["model"]["family"])


def _verdict(evidence: Evidence, one: Variant, other: Variant) -> str:
    """What the comparison of two that answered the same test texts found, whichever is better."""
    pairs = (pair for field in fields(evidence) for pair in field.comparisons)
    found = next(
        (pair for pair in pairs if one in (pair.better, pair.other) and other in (pair.better, pair.other)), None
    )
    if found is None:
        return "not to be compared"
    return "more than chance explains" if found.differs else "a tie"


def _dominated(evidence: Evidence) -> list[str]:
    """Who pays as much or more of every cost, for no more accuracy, on the same hardware."""
    found = offers(evidence)
    told = []
    for offer in found:
        if better := dominating(offer, found):
            paid = ", ".join(AXES[axis] for axis in AXES if axis in offer.costs)
            told.append(f"{offer.variant.name} ({better[0].variant.name}, by {paid})")
    meaning = "Not worth the price, for another on the same hardware is at least as accurate and costs no more"
    return [f"{meaning}: {'; '.join(told)}."] if told else []


def _audit(evidence: Evidence) -> list[str]:
    figures, pairs = study_audit(evidence).iloc[: len(study.TABLE3)], study_comparisons(evidence)
    possible = figures[figures["possible_counts"] != "none"]
    them = ", ".join(f"{row.study:.4f} ({row.possible_counts}/{study.TEST_ROWS})" for row in possible.itertuples())
    lead, kinds = pairs.iloc[0], pairs["significance"].value_counts()
    whole = (
        f"Of the study's five accuracies {len(figures) - len(possible)} cannot be accuracies on "
        f"{study.TEST_ROWS:,} texts; {them} can."
    )
    compared = (
        f"Its {lead['better']} leads {lead['other']} by about {lead['texts']} texts (unpaired z {lead['z']:.2f}), "
        f"which McNemar's test would find only if no more than {lead['most_discordant']} texts were right for one and "
        f"wrong for the other. Of its {len(pairs)} comparisons {kinds.get('even unpaired', 0)} are significant as "
        f"printed, uncorrected; {kinds.get('impossible', 0)} cannot be at best; the others hang on predictions that "
        "were not published."
    )
    return [whole, compared]


def _not_run(table3: pd.DataFrame, evidence: Evidence) -> list[str]:
    """The study's models without a result here, and the command that runs all five."""
    measured = set(table3.loc[table3["accuracy"].notna(), "name"])
    missing = table3[table3["study"].notna() & ~table3["name"].isin(measured)]
    if missing.empty:
        return []
    whole = (
        f"Not run here: {', '.join(missing['model'])}. Their weights are on the model hub, Llama 3's behind Meta's "
        "licence, and Llama 3 needs a CUDA GPU; `python -m benchmark experiment=table3` runs all five."
    )
    if measured.isdisjoint(study.TABLE3) and _only_small(evidence):
        whole += " Small models are not the study's models: no figure measured here says what those reach."
    return [whole]


def _only_small(evidence: Evidence) -> bool:
    """Whether every network with a result is known to be small."""
    cards = [
        variant.leading.record.card
        for variant in with_results(evidence)
        if variant.first.config["model"]["family"] not in ("constant", "linear")
    ]
    return all(card is not None and card.parameters is not None and card.parameters < SMALL for card in cards)
