"""What a reader must know to read a table, by the table's name; it stands below the table wherever that is shown."""

from benchmark.report.tables import DEVIATES

FOOTNOTES = {
    "table1_models": (
        "*Parameters trained* leaves out a classification head, whose size depends on the labels; the costs count it."
    ),
    "table2_settings": f"`{DEVIATES}` differs from the study. AdamW without decay is Adam.",
    "speed": (
        "*× plain* is the ratio to padded batches in the first precision listed, where a decoder answers by `generate` "
        "(batch 8, 4 new tokens); both ways take turns in one process on the same rows (`python -m benchmark.speed`). "
        "*Of matrix peak* is the arithmetic of the linear layers, as executed, against the fastest matrix product of "
        "the same run. Packed streams execute less: no padding, and the prompts' common beginning once. "
        "*Batch* is the effective one."
    ),
    "pairwise": (
        "The interval is a paired bootstrap over seeds and texts. *McNemar's p* is exact; of k pairs of seeds it is k/m"
        " times the m-th smallest, m being the upper median place, which is valid however they depend on each other. "
        "*Holm* corrects for all pairs on the same test texts. Two differ where that is below 0.05 and the interval "
        "leaves out 0; else they are tied. *Detectable* is the difference that McNemar's test would find with 80% "
        "power on one pair of seeds at the disagreement measured, at 0.05 divided by the number of comparisons, Holm's "
        "strictest step, and by k/m. Counts are means over pairs of seeds."
    ),
    "ties": "Two that share a letter are tied: no difference between them was found. Ties do not carry over.",
    "seeds": (
        "*One answer to all* counts completed seeds that collapsed to a single label, as the majority label does by "
        "design; they are part of the mean. ± is the standard deviation over seeds."
    ),
    "study_audit": (
        "An accuracy on n texts is k/n. *Smallest test sets* are those on which some k/n rounds to the figure; *means "
        "of runs* are the numbers of runs on 2,000 texts whose mean can round to it."
    ),
    "study_comparisons": (
        "The study published no predictions. *Unpaired* takes the two test sets for different ones; *p at best* is "
        "McNemar's if the better model is right wherever the other is; the test finds the difference while at most so "
        "many texts as the next column says are right for one and wrong for the other. Nothing is corrected for "
        "there being ten tests."
    ),
    "selective": (
        "Accuracy on the surest share of the texts, and the expected calibration error (15 bins); means over seeds. "
        "Free answers say nothing of how sure they are."
    ),
    "frontier": (
        "*On the frontier of* a cost: nobody is as accurate for less of it. *Dominated*: somebody on the same "
        "hardware is at least as accurate and as cheap in every cost measured, and more accurate or a tenth cheaper in "
        "one. Costs are medians over the seeds of the machine that ran most; times across different hardware say "
        "little. Peak memory is the GPU's where one computed, else the process's with the libraries it had loaded."
    ),
    "tuning": (
        "Accuracy on the whole validation split after the last epoch. Each of these runs answered one test text, so "
        "none of them has a test accuracy."
    ),
    "confused_pairs": "Texts are means over seeds.",
    "hard_items": (
        "Wrong for every seed of every variant, but for runs that give one answer to all: candidates for label noise. "
        "*Predicted* is the answer given most often, *agreement* its share of the runs."
    ),
    "readouts": (
        "≠ is the share of test texts answered differently, the mean over the seeds that both have. In bf16 the ways "
        "round differently, so that texts on the edge between two labels may change sides."
    ),
}
