"""A data set becomes three splits, or is refused: the data gate checks all that can be checked."""

import reprlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import DatasetConfig, HubDataset
from benchmark.data.formats import READERS, Row, read_file, require
from benchmark.data.report import DataReport, Overlap, SplitReport
from benchmark.data.synthetic import best_possible_accuracy, compose
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples

SPLIT_FILES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
CARVING_SEED = 0  # fixed: every run on a data set sees the same validation rows


UNTYPED = (".txt", ".csv")  # whose every field is text


@dataclass(frozen=True)
class Splits:
    train: Examples
    validation: Examples
    test: Examples
    report: DataReport


def load(config: DatasetConfig) -> Splits:
    """Read, check and describe a data set; raises `BenchmarkError` on the first thing wrong."""
    route, raw = _read_route(config)
    splits = {name: _examples(name, rows, config.labels) for name, rows in raw.items()}
    for name, examples in splits.items():
        _check_hash(name, examples, config, route)
    notes: list[str] = []
    if config.synthetic is not None:
        ceiling = best_possible_accuracy(config.synthetic)
        notes.append(
            f"{config.synthetic.flipped_share:.0%} of the labels are wrong on purpose: at best {ceiling:.4f} is right."
        )
    carved_rows = 0
    if "validation" not in splits:
        splits["train"], splits["validation"] = _carve(splits["train"], config.validation_share)
        carved_rows = len(splits["validation"])
        notes.append(
            f"No validation split: {carved_rows} rows carved from train, stratified, "
            f"share {config.validation_share}, seed {CARVING_SEED}."
        )
    for name, rows in (("train", config.train_rows), ("test", config.test_rows)):
        if rows is not None and rows < len(splits[name]):
            notes.append(f"Only the first {rows} of {len(splits[name])} {name} rows are used.")
            splits[name] = first(splits[name], rows)
    report = _report(route, splits, config.labels, notes, carved_rows)
    return Splits(splits["train"], splits["validation"], splits["test"], report)


def content_sha256(examples: Examples, labels: Sequence[str]) -> str:
    """The hash of a split's `text;label` lines, the same whatever file it was read from."""
    digest = sha256()
    for text, label in zip(examples.texts, examples.labels, strict=True):
        digest.update(f"{text};{labels[label]}\n".encode())
    return digest.hexdigest()


def _read_route(config: DatasetConfig) -> tuple[str, dict[str, list[Row]]]:
    if config.synthetic is not None:
        return "composed by benchmark/synthetic.py", {
            name: [Row(text, label, f"synthetic {name}, row {number}") for number, (text, label) in enumerate(rows, 1)]
            for name, rows in compose(config.synthetic, config.labels).items()
        }
    if config.path is not None:
        return _read_folder(Path(config.path), config)
    if config.hub is not None:
        return _read_hub(config)
    raise BenchmarkError(f"Data set {config.name} has no source; set dataset.path to a folder with its splits.")


def _read_folder(folder: Path, config: DatasetConfig) -> tuple[str, dict[str, list[Row]]]:
    try:
        present = sorted(folder.iterdir())
    except OSError as error:
        raise BenchmarkError(
            f"dataset.path={folder} is no folder that can be read ({error.strerror}); "
            "give one that holds train, test and, if there is one, validation."
        ) from error
    files = {name: file for name, stems in SPLIT_FILES.items() if (file := _split_file(folder, present, stems))}
    for name in ("train", "test"):
        if name not in files:
            raise BenchmarkError(f"{folder} has no {name} split; add {name}{{{','.join(READERS)}}}.")
    formats = ", ".join(sorted({file.suffix for file in files.values()}))
    raw = {name: read_file(file, config.text_column, config.label_column) for name, file in files.items()}
    for name, file in files.items():
        if file.suffix in UNTYPED:
            raw[name] = [replace(row, label=_id_in_text(row.label, config.labels)) for row in raw[name]]
    return f"local files ({formats})", raw


def _split_file(folder: Path, present: list[Path], stems: Sequence[str]) -> Path | None:
    """The one file of a split, named `stem.suffix` or as the hub names parquet shards."""
    names = {*stems, *(f"{stem}-00000-of-00001" for stem in stems)}
    found = [path for path in present if path.suffix in READERS and path.stem in names]
    if len(found) > 1:
        raise BenchmarkError(f"{folder} has several files for one split: {', '.join(p.name for p in found)}; keep one.")
    if found:
        return found[0]
    for path in present:  # a split in another format, or in parts, is not silently done without
        if path.name.startswith(tuple(f"{stem}{mark}" for stem in stems for mark in ".-")) or path.name in stems:
            raise BenchmarkError(
                f"{path} is no split that can be read; make it one file named {stems[0]}{{{','.join(READERS)}}}, "
                "or rename it."
            )
    return None


def _read_hub(config: DatasetConfig) -> tuple[str, dict[str, list[Row]]]:
    assert config.hub is not None
    hub = config.hub
    import datasets  # heavy, and needed on this route only

    datasets.config.HF_HUB_OFFLINE = not _reachable(hub)  # then it looks into its cache at once
    try:
        loaded = datasets.load_dataset(hub.id, hub.configuration, revision=hub.revision)
    except Exception as error:  # the library raises what its many transports raise
        raise BenchmarkError(
            f"Data set {hub.id} cannot be had from the hub ({type(error).__name__}); go online once, "
            "or set dataset.path to a folder with its files."
        ) from error
    for name in ("train", "test"):
        if name not in loaded:
            raise BenchmarkError(f"Data set {hub.id} has no {name} split, only {', '.join(loaded)}; name another.")
        require(loaded[name].column_names, config.text_column, config.label_column, f"{hub.id} {name}")
    return f"hub {hub.id}@{hub.revision[:8]}", {
        name: [
            Row(row[config.text_column], row[config.label_column], f"{hub.id} {name}, row {number}")
            for number, row in enumerate(loaded[name], start=1)
        ]
        for name in SPLIT_FILES
        if name in loaded
    }


def _reachable(hub: HubDataset) -> bool:
    """One quick question to the hub, which datasets itself would repeat for half a minute."""
    import httpx2  # the hub client's own transport
    import huggingface_hub

    try:
        huggingface_hub.dataset_info(hub.id, revision=hub.revision, timeout=10)
    except (httpx2.TransportError, huggingface_hub.errors.OfflineModeIsEnabled):
        return False
    except huggingface_hub.errors.HfHubHTTPError:
        return True  # what it refuses, it refuses again when asked for the files
    return True


def _examples(split: str, rows: list[Row], labels: list[str]) -> Examples:
    """Rows with label names, or with ids throughout, as examples; anything else is refused."""
    ids = {name: index for index, name in enumerate(labels)}
    by_id = _is_id(rows[0].label)
    for row in rows:
        _check_text(row)
    return Examples(
        ids=tuple(f"{split}-{index}" for index in range(len(rows))),
        texts=tuple(row.text for row in rows),
        labels=np.array([_label_id(row, ids, by_id) for row in rows], dtype=np.int64),
    )


def _check_text(row: Row) -> None:
    if row.text is not None and not isinstance(row.text, str):
        raise BenchmarkError(f"{row.place} has a text of type {type(row.text).__name__}; write it as a string.")
    if row.text is None or not row.text.strip():
        raise BenchmarkError(f"{row.place} has no text; fill it or remove the row.")
    if not row.text.isascii() and any("\ud800" <= character <= "\udfff" for character in row.text):
        raise BenchmarkError(f"{row.place} holds half of a UTF-16 pair, which is no character; export it as UTF-8.")


def _label_id(row: Row, ids: dict[str, int], by_id: bool) -> int:
    """The id of a label spelt as declared; of another spelling the message says what may be meant."""
    label = row.label
    if by_id and _is_id(label) and 0 <= label < len(ids):
        return int(label)
    if not by_id and isinstance(label, str):
        if label in ids:
            return ids[label]
        meant = [name for name in ids if name.lower() == label.strip().lower()]
        remedy = f"write '{meant[0]}'" if meant else "correct it or declare it in dataset.labels"
    else:
        remedy = "correct it" if by_id and _is_id(label) else "write names, or ids as whole numbers, in every row"
    known = f"an id from 0 to {len(ids) - 1}" if by_id else f"one of {', '.join(ids)}"
    raise BenchmarkError(f"{row.place} has the label {reprlib.repr(label)}, not {known}; {remedy}.")


def _id_in_text(label: str, labels: Sequence[str]) -> str | int:
    """The id that is written, unless a label is called so; any other label as it is."""
    return int(label) if label.isdecimal() and label not in labels else label


def _is_id(label: Any) -> bool:
    return isinstance(label, int) and not isinstance(label, bool)


def _check_hash(name: str, examples: Examples, config: DatasetConfig, route: str) -> None:
    expected = config.sha256.get(name)
    actual = content_sha256(examples, config.labels)
    if expected is not None and actual != expected:
        raise BenchmarkError(
            f"The {name} split of {config.name} from {route} is not the published one: {len(examples)} rows with "
            f"hash {actual[:12]}..., expected {expected[:12]}...; restore the file, or give changed data a name of "
            "its own (dataset.name=... '~dataset.sha256')."
        )


def _carve(train: Examples, share: float) -> tuple[Examples, Examples]:
    """Train without, and the carved validation rows: `share` of each label, at least one."""
    generator = np.random.default_rng(CARVING_SEED)
    chosen: list[int] = []
    for label in np.unique(train.labels):
        rows = np.flatnonzero(train.labels == label)
        chosen += generator.permutation(rows)[: max(1, round(share * len(rows)))].tolist()
    mask = np.zeros(len(train), dtype=bool)
    mask[chosen] = True
    if mask.all():
        raise BenchmarkError("The training split is too small to carve a validation split from it; add one.")
    return _select(train, np.flatnonzero(~mask)), _select(train, np.flatnonzero(mask))


def first(examples: Examples, rows: int) -> Examples:
    return _select(examples, np.arange(rows))


def _select(examples: Examples, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Examples:
    return Examples(
        tuple(examples.ids[row] for row in rows), tuple(examples.texts[row] for row in rows), examples.labels[rows]
    )


def _report(
    route: str, splits: dict[str, Examples], labels: list[str], notes: list[str], carved_rows: int
) -> DataReport:
    reports = {
        name: SplitReport(
            rows=len(examples),
            sha256=content_sha256(examples, labels),
            counts={label: int((examples.labels == index).sum()) for index, label in enumerate(labels)},
        )
        for name, examples in splits.items()
    }
    repeated, conflicting = _repeats(splits["train"])
    pairs = (("test", "train"), ("validation", "train"), ("validation", "test"))
    overlaps = [_overlap(of, splits[of], within, splits[within]) for of, within in pairs]
    return DataReport(route, reports, repeated, conflicting, overlaps, notes, carved_rows)


def _repeats(train: Examples) -> tuple[list[str], list[str]]:
    seen: Counter[str] = Counter()
    labels_of: dict[str, set[int]] = defaultdict(set)
    repeated, conflicting = [], []
    for identifier, text, label in zip(train.ids, train.texts, train.labels.tolist(), strict=True):
        if seen[text]:
            repeated.append(identifier)
            if labels_of[text] - {label}:
                conflicting.append(identifier)
        seen[text] += 1
        labels_of[text].add(label)
    return repeated, conflicting


def _overlap(of: str, examples: Examples, within: str, others: Examples) -> Overlap:
    labels_of: dict[str, set[int]] = defaultdict(set)
    for text, label in zip(others.texts, others.labels.tolist(), strict=True):
        labels_of[text].add(label)
    shared = [
        (identifier, bool(labels_of[text] - {label}))
        for identifier, text, label in zip(examples.ids, examples.texts, examples.labels.tolist(), strict=True)
        if text in labels_of
    ]
    return Overlap(of, within, [i for i, _ in shared], [i for i, conflict in shared if conflict])
