"""Which data set each run belongs to, by the content of its test split and never by a name."""

import json
from collections.abc import Mapping

from benchmark.analysis import study
from benchmark.analysis.identity import short_hash
from benchmark.results.record import RunRecord

Content = tuple[str, tuple[str, ...]] | tuple[str, tuple[str, ...], str]
"""The hash of a whole test split, and the labels by id.

Where a model was trained on another data set than it was tested on, or tested on changed texts, the title of the data
and the mapping of labels follow.
"""

PUBLISHED: Content = (study.TEST_SHA256, study.LABELS)


def dataset_keys(records: Mapping[str, RunRecord]) -> dict[str, str]:
    """The key of each run's data set, by run; a key can be part of a file name.

    The study's data set has the key `emotion`, whatever a configuration calls it. Any other content has the name in
    its configuration. If another content took that name earlier, a part of the content's hash follows it.
    """
    contents = {run: _content(record) for run, record in records.items()}
    contents |= _contents_of_parts(records, contents)
    keys = {PUBLISHED: study.DATASET}
    earliest_first = sorted(records, key=lambda run: records[run].started)
    for run in earliest_first:
        content = contents[run]
        if content is not None and content not in keys:
            name = records[run].dataset
            taken = name.casefold() in {key.casefold() for key in keys.values()}
            keys[content] = f"{name}-{short_hash(*content, digits=8)}" if taken else name
    known = {run: keys[content] for run, content in contents.items() if content is not None}
    of_name = {records[run].dataset: known[run] for run in reversed(earliest_first) if run in known}
    return {run: known.get(run) or _unread(record, of_name) for run, record in records.items()}


def _content(record: RunRecord) -> Content | None:
    """The whole test split of a run; None if the run read a part of it or nothing, and no hash was declared."""
    read = record.data.splits.get("test") if record.data is not None else None
    if read is not None and record.config.dataset.test_rows is None:
        return _content_with(read.sha256, record)
    declared = record.config.dataset.pinned_sha256.get("test")  # a run stops if the data have another hash
    return None if declared is None else _content_with(declared, record)


def _contents_of_parts(
    records: Mapping[str, RunRecord], contents: Mapping[str, Content | None]
) -> dict[str, Content | None]:
    """The content for runs on a part of a test split: the data set whose training or validation split they read."""
    splits = ("train", "validation")
    whole = {
        _content_with(record.data_sha256.get(split, ""), record): contents[run]
        for run, record in records.items()
        if contents[run] is not None
        for split in splits
    }
    of_parts = {}
    for run, record in records.items():
        if contents[run] is None and "test" in record.data_sha256:
            of_test = _content_with(record.data_sha256["test"], record)
            read = [_content_with(record.data_sha256[split], record) for split in splits if split in record.data_sha256]
            of_parts[run] = next((whole[part] for part in read if part in whole), of_test)
    return of_parts


def _content_with(sha256: str, record: RunRecord) -> Content:
    """A split's content: texts of another data set are never a part of the one that was trained on."""
    dataset = record.config.dataset
    if dataset.tests_own_texts:
        return sha256, record.labels
    return sha256, record.labels, f"{dataset.title} {json.dumps(dataset.test_labels, sort_keys=True)}"


def _unread(record: RunRecord, of_name: Mapping[str, str]) -> str:
    """The data set of a run that ended before it read its data; never the study's, which declares its hashes."""
    key = of_name.get(record.dataset, record.dataset)
    return key if key != study.DATASET else f"{record.dataset}-not-read"
