"""Read a data set from the Hugging Face hub or its local cache, at exactly the revision that was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.data.folder import SPLIT_NAMES
from benchmark.data.rows import RawSplits, Row, check_columns, top_of, value_at
from benchmark.dataset_config import DatasetConfig, HubDataset
from benchmark.errors import BenchmarkError
from benchmark.hub import COMMIT, other_server, recording_server, repository_info

OTHER_ENDPOINT = "endpoint.txt"
"""End of the name of the file beside a folder of cached data that names their server, if it is not the official hub."""
USE_FOLDER = "set dataset.path to a folder with its files"


def read_hub(config: DatasetConfig, hub: HubDataset) -> RawSplits:
    """The splits train, test and, if the data set has one, validation."""
    with _explain_errors(hub):
        online, commit = _find_commit(hub)
        builder = _builder(hub, online, commit)
        server = _prepare(builder, online)
        loaded = builder.as_dataset()
    route = f"hub {hub.id}@{builder.hash[:8]}" + (f" from {server}" if server is not None and not config.sha256 else "")
    present = list(loaded)
    names = {split: name for split in SPLIT_NAMES if (name := _name_of(split, hub, present))}
    return RawSplits(route, {split: _rows(loaded[name], config, f"{hub.id} {name}") for split, name in names.items()})


def _find_commit(hub: HubDataset) -> tuple[bool, str]:
    """Whether the hub answers a single request, and the commit that the revision names.

    datasets would retry for half a minute before it gives up.
    """
    from huggingface_hub.errors import HfHubHTTPError  # slow to import

    try:
        info = repository_info("dataset", hub.id, hub.revision)
    except HfHubHTTPError:
        return True, hub.revision  # the hub answered; datasets gets the same error and reports it
    if info is None:
        return False, hub.revision
    return True, hub.revision if COMMIT.fullmatch(hub.revision) else info.sha or hub.revision


def _builder(hub: HubDataset, online: bool, commit: str) -> Any:
    """The library's reader of this commit. Left to itself, the library takes any other revision that is cached."""
    import datasets  # slow to import, and needed here only
    from datasets.packaged_modules.cache.cache import Cache

    datasets.config.HF_HUB_OFFLINE = not online  # offline, datasets does not wait for the hub
    if online:
        builder = datasets.load_dataset_builder(hub.id, hub.configuration, revision=commit)
        if builder.hash == commit:
            return builder
    cached = _cached(hub, commit, Path(datasets.config.HF_DATASETS_CACHE))
    configurations = [folder.parts[-3] for folder in cached]
    if len(cached) > 1:
        raise BenchmarkError(
            f"Data set {hub.id} has several configurations in the cache: {', '.join(configurations)}.",
            "Name one in dataset.hub.configuration.",
        )
    if not cached:
        raise BenchmarkError(
            f"Data set {hub.id} at {commit[:8]} is not in the cache, and the hub could not be reached.",
            f"Go online once, or {USE_FOLDER}.",
        )
    configuration, version, _ = cached[0].parts[-3:]
    name = hub.id.rpartition("/")[2]
    return Cache(dataset_name=name, repo_id=hub.id, config_name=configuration, version=version, hash=commit)


def _cached(hub: HubDataset, commit: str, cache: Path) -> list[Path]:
    """The folders of this commit in the cache of the library: OWNER___NAME/CONFIGURATION/VERSION/COMMIT."""
    from datasets.naming import camelcase_to_snakecase  # slow to import

    *owner, name = hub.id.split("/")
    place = cache / "___".join([*owner, camelcase_to_snakecase(name)])
    return [path for path in sorted(place.glob(f"{hub.configuration or '*'}/*/{commit}")) if path.is_dir()]


def _prepare(builder: Any, online: bool) -> str | None:
    """Download or find the files; return the server they came from if it was not the official hub."""
    folder = Path(builder.cache_dir)
    marker = folder.with_name(f"{folder.name}-{OTHER_ENDPOINT}")  # beside it, because the library replaces the folder
    if not online:
        builder.download_and_prepare()
        return other_server(marker)
    cached = (folder / "dataset_info.json").is_file()  # as the library decides it
    with recording_server(marker, cached) as again:
        builder.download_and_prepare(download_mode="force_redownload" if again else None)
    return other_server(marker)


def _name_of(split: str, hub: HubDataset, present: list[str]) -> str | None:
    """The name of a split in this data set. One that may be meant but is not understood is refused."""
    if hub.splits is not None:
        name = hub.splits.get(split)
        if name is not None and name not in present:
            raise BenchmarkError(
                f"dataset.hub.splits names the split {name}, but data set {hub.id} has only {', '.join(present)}.",
                "Name one of these.",
            )
        return name
    stems = SPLIT_NAMES[split]
    candidates = [name for name in stems if name in present]
    listed = ", ".join(present)
    fix = "Name the splits to use in 'dataset.hub.splits={train: ..., validation: ..., test: ...}'."
    if len(candidates) > 1:
        raise BenchmarkError(f"Data set {hub.id} has several {split} splits: {', '.join(candidates)}.", fix)
    if not candidates and split != "validation":
        raise BenchmarkError(f"Data set {hub.id} has no {split} split, only {listed}.", fix)
    similar = [name for name in present if name.lower().startswith((*stems, "eval"))]
    if not candidates and similar:
        raise BenchmarkError(f"Data set {hub.id} has no {split} split, but {', '.join(similar)}.", fix)
    return candidates[0] if candidates else None


def _rows(split: Any, config: DatasetConfig, place: str) -> list[Row]:
    """The rows of a split of the library, with the names of its label ids if it states them."""
    check_columns(split.column_names, config.text_column, config.label_column, place, split.features)
    columns = config.text_column, config.label_column
    top = {top_of(column, split.column_names) for column in columns}
    feature = value_at(split.features, config.label_column)
    names = getattr(getattr(feature, "feature", feature), "names", None)  # of a list, or of one label
    label_names = None if names is None else tuple(names)
    return [
        Row(value_at(row, columns[0]), value_at(row, columns[1]), f"{place}, row {number}", label_names)
        for number, row in enumerate(split.select_columns(sorted(top)), start=1)
    ]


@contextmanager
def _explain_errors(hub: HubDataset) -> Iterator[None]:
    """Turn an error of the library into a `BenchmarkError` with the library's own reason."""
    try:
        yield
    except BenchmarkError:
        raise
    except Exception as error:  # the library has no common type for the errors of its file systems
        reason = " ".join(str(error).split())[:300].rstrip(".")
        fix = f"Set HF_TOKEN if the data set is private or gated, check dataset.hub, or {USE_FOLDER}."
        if isinstance(error, ValueError):  # of configurations
            fix = f"Set dataset.hub.configuration to one that the data set has, or {USE_FOLDER}."
        raise BenchmarkError(
            f"Data set {hub.id} could not be loaded from the hub ({type(error).__name__}: {reason}).", fix
        ) from error
