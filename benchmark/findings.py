"""What the tables come to, in sentences for the README; every figure is taken from the evidence."""

from benchmark import study
from benchmark.audit import study_audit, study_comparisons
from benchmark.comparisons import Field, fields
from benchmark.frontier import offers
from benchmark.records import Evidence

LONG_TABLES = {
    "pairwise": "all pairs",
    "ties": "tied groups",
    "seeds": "every seed",
    "test_views": "without test texts that occur in train",
    "selective": "calibration and sure answers only",
    "frontier": "costs",
    "learning_curve": "training rows",
    "readouts": "read-outs",
    "confused_pairs": "confused labels",
    "hard_items": "texts that all get wrong",
    "study_audit": "the study's figures",
    "study_comparisons": "the study's comparisons",
}
"""Tables that stay in results/tables, and what the README calls them."""


def findings(evidence: Evidence) -> list[str]:
    """Sentences on what differs, what is dominated, and what the study's own figures can mean."""
    compared = [field for field in fields(evidence) if field.comparisons]
    return [
        *(sentence for field in compared[:1] for sentence in _ties(field)),
        *_dominated(evidence),
        *_audit(evidence),
        "More: " + ", ".join(f"[{name}](results/tables/{table}.md)" for table, name in LONG_TABLES.items()) + ".",
    ]


def _ties(field: Field) -> list[str]:
    """What is tied with the most accurate, and how far the next one that is not."""
    best, others = field.variants[0], len(field.variants) - 1
    against = field.comparisons[:others]
    tied = [pair.other.name for pair in against if not pair.differs]
    apart = next((pair for pair in against if pair.differs), None)
    said = f"tied with it: {'; '.join(tied)}" if tied else "nothing is tied with it"
    sentences = [f"The most accurate is {best.name} ({best.accuracy:.4f}); {said}."]
    if apart is not None:
        sentences.append(
            f"It leads {apart.other.name} by {apart.difference:.4f} (95% interval {apart.interval.low:.4f} to "
            f"{apart.interval.high:.4f}); it alone is right on {apart.wins:,.0f} texts, "
            f"the other on {apart.losses:,.0f}."
        )
    seen = against[0].detectable
    rule = f"McNemar's exact test, Holm's correction for all {len(field.comparisons)} pairs, and a paired bootstrap"
    power = "" if seen is None else f" Between the first two, a difference of {seen:.4f} would be seen in 4 cases of 5."
    return [" ".join(sentences), f"Two differ where both say so: {rule} over seeds and texts.{power}"]


def _dominated(evidence: Evidence) -> list[str]:
    """Who pays more on every axis measured, for no more accuracy."""
    found = offers(evidence)
    beaten = [offer.variant.name for offer in found if any(other.dominates(offer) for other in found)]
    axes = "training time, peak memory, trained parameters and time to answer"
    return [f"Dominated, in accuracy and in {axes}: {'; '.join(beaten)}."] if beaten else []


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
