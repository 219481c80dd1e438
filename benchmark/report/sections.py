"""What the page shows and in which order: names of tables and figures, with the words around them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of the page, and the names of what it shows: entries of FIGURES and TABLES, the figure first."""

    name: str
    title: str
    text: str
    shows: tuple[str, ...]


SECTIONS = [
    Section(
        "accuracy",
        "Accuracy (Table 3)",
        "The study’s models in its order, then ours, rising. An interval says what the number of test texts and "
        "seeds leaves open: Wilson’s for one seed, a bootstrap over seeds and test texts for more.",
        ("table3_accuracy", "accuracy", "ties", "seeds"),
    ),
    Section(
        "differences",
        "Which differences are real",
        "All models answer the same texts, so they are compared text by text. Two differ if McNemar’s test, corrected "
        "after Holm for the number of comparisons, and the bootstrap of the difference both say so; else they are "
        "tied.",
        ("pairwise",),
    ),
    Section(
        "cost",
        "What accuracy costs",
        "In training time, memory, trained parameters and time to answer, as measured on the hardware named.",
        ("frontier", "speed"),
    ),
    Section(
        "learning",
        "How much data it takes",
        "The same models on growing shares of train. The epochs stay the same, so fewer texts are also fewer steps.",
        ("learning_curve",),
    ),
    Section(
        "confidence",
        "How far confidence can be trusted",
        "A calibrated model that is 80% sure is right 80% of the time (ECE is its mean error in that). One that knows "
        "when it is unsure gains accuracy by answering only where it is sure.",
        ("calibration", "selective"),
    ),
    Section(
        "errors",
        "Where they err",
        "By label, by pair of labels, on parts of the test set, by the way the answer is read, and text by text: what "
        "every model gets wrong may be wrongly labelled.",
        ("per_class", "confused_pairs", "test_views", "readouts", "hard_items"),
    ),
    Section(
        "models",
        "The models (Table 1)",
        "The study’s row as printed; parameters of all others are computed from the declared architecture.",
        ("table1_models", "figure1_decoder_block", "figure2_lora"),
    ),
    Section(
        "settings",
        "The settings and the data (Table 2)",
        "What each model is trained with; the study’s own settings are the first row.",
        ("table2_settings", "tuning", "figure3_label_distribution"),
    ),
    Section(
        "audit",
        "What the study’s own figures can mean",
        "An accuracy on 2,000 texts is a multiple of 0.0005, and without the predictions a comparison can be tested "
        "at its best only.",
        ("study_audit", "study_comparisons"),
    ),
]

CAPTIONS = {
    "table1_models": "Table 1. Model details",
    "table2_settings": "Table 2. Experiment settings",
    "tuning": "Trials on the validation split, from which the learning rates of recipe tuned were taken",
    "table3_accuracy": "Table 3. Accuracy on the emotion test split",
    "ties": "Tied groups: two that share a letter are tied",
    "seeds": "Every seed asked for, those that failed or gave one answer to all among them",
    "pairwise": "Every two models that answered the same test texts, the better one first",
    "frontier": "Accuracy and its price; on which axes nobody offers more for less",
    "learning_curve": "Accuracy by number of training texts",
    "selective": "Calibration error, and accuracy where only the surest texts are answered",
    "confused_pairs": "The pairs of labels confused most, mean over seeds",
    "test_views": "Accuracy on parts of the test set",
    "readouts": "One fine-tuned decoder, read in several ways",
    "hard_items": "Test texts that every model gets wrong",
    "study_audit": "Which counts of right answers the printed accuracies can stand for",
    "study_comparisons": "What a test of the printed accuracies could find at best",
    "per_class": "Precision, recall and F1 by label, mean over seeds",
    "speed": "Training and answering speed",
}
ALTERNATIVES = {
    "accuracy": "Accuracy on the test split with its 95% interval, a line for each model; the numbers are Table 3’s.",
    "pairwise": "All pairs of models, which differ and by how much; the numbers are in the table below.",
    "frontier": "Accuracy against each price, the frontier drawn; the numbers are in the table below.",
    "learning_curve": "Accuracy and each label's F1 against the number of training texts; accuracy in figures below.",
    "calibration": "Accuracy against confidence, and by share of texts answered; the numbers are in the table below.",
    "figure1_decoder_block": "A pre-normalisation decoder block of Llama 3 8B, with the dimensions of its matrices.",
    "figure2_lora": "A frozen matrix beside its low-rank adapter, B after A, with their numbers of parameters.",
    "figure3_label_distribution": "How many training texts have each label, the most frequent first.",
}


LEADERBOARD = "leaderboard_"  # and the data set's name


def complete(names: list[str]) -> list[Section]:
    """All sections, so that every one of these tables and figures has its place."""
    placed = {name for section in SECTIONS for name in section.shows}
    others = list(dict.fromkeys(name for name in names if name not in placed))
    everything = Section(
        "everything",
        "Everything that was run",
        "On each data set, the most accurate first: trials, random weights and failures too, which have no place in "
        "Table 3.",
        tuple(name for name in others if name.startswith(LEADERBOARD)),
    )
    further = Section("further", "More", "", tuple(name for name in others if not name.startswith(LEADERBOARD)))
    return [*SECTIONS, everything, further]


def caption(name: str) -> str:
    """What a table or figure is called; one that nobody has named yet gets its name."""
    if name.startswith(LEADERBOARD):
        return f"All variants on {name.removeprefix(LEADERBOARD)}"
    return CAPTIONS.get(name, name.replace("_", " ").capitalize())
