"""Examples for a prompt, drawn from the training split."""

import hashlib
from collections.abc import Sequence

from benchmark.errors import BenchmarkError
from benchmark.interface import Examples


def draw_examples(train: Examples, labels: Sequence[str], shots: int, seed: int) -> list[int]:
    """The rows of `shots` examples in the order in which they are shown.

    Each label has `shots // len(labels)` of them, and the remaining examples go to one label each, drawn too. Rows are
    drawn by the SHA-256 of seed and row id, which is the same in every version of every library.
    """

    def order(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode()).digest()

    each, remaining = divmod(shots, len(labels))
    with_one_more = sorted(range(len(labels)), key=lambda label: order(labels[label]))[:remaining]
    of_label: list[list[int]] = [[] for _ in labels]
    for row in sorted(range(len(train)), key=lambda row: order(train.ids[row])) if shots else ():
        of_label[train.labels[row]].append(row)
    fewest = min(map(len, of_label))
    for label, rows in enumerate(of_label):
        if len(rows) < (wanted := each + (label in with_one_more)):
            raise BenchmarkError(
                f"model.shots is {shots}, which takes {wanted} training rows of the label {labels[label]}, "
                f"but there are {len(rows)}.",
                f"Set model.shots to at most {fewest * len(labels)}.",
            )
        del rows[wanted:]
    return sorted((row for rows in of_label for row in rows), key=lambda row: order(train.ids[row]))
