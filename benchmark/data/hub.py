"""Read a data set from the Hugging Face hub or its local cache."""

from benchmark.config import DatasetConfig, HubDataset
from benchmark.data.rows import RawSplits, Row, check_columns
from benchmark.errors import BenchmarkError


def read_hub(config: DatasetConfig, hub: HubDataset) -> RawSplits:
    """The splits train, test and, if the data set has one, validation."""
    import datasets  # slow to import, and needed here only

    datasets.config.HF_HUB_OFFLINE = not _is_reachable(hub)  # offline, datasets reads its cache without waiting
    try:
        loaded = datasets.load_dataset(hub.id, hub.configuration, revision=hub.revision)
    except Exception as error:  # the library has no common type for the errors of its file systems
        raise BenchmarkError(
            f"Data set {hub.id} could not be loaded from the hub ({type(error).__name__}).",
            "Connect to the internet once, or set dataset.path to a folder with its files.",
        ) from error
    for name in ("train", "test"):
        if name not in loaded:
            raise BenchmarkError(
                f"Data set {hub.id} has no {name} split, only {', '.join(loaded)}.",
                "Set dataset.hub to a data set with a train and a test split.",
            )
        check_columns(loaded[name].column_names, config.text_column, config.label_column, f"{hub.id} {name}")
    rows = {
        name: [
            Row(row[config.text_column], row[config.label_column], f"{hub.id} {name}, row {number}")
            for number, row in enumerate(loaded[name], start=1)
        ]
        for name in ("train", "validation", "test")
        if name in loaded
    }
    return RawSplits(f"hub {hub.id}@{hub.revision[:8]}", rows)


def _is_reachable(hub: HubDataset) -> bool:
    """Whether the hub answers a single request; datasets would retry for half a minute before it gives up."""
    import httpx2  # the transport of huggingface_hub
    import huggingface_hub

    try:
        huggingface_hub.dataset_info(hub.id, revision=hub.revision, timeout=10)
    except (httpx2.TransportError, huggingface_hub.errors.OfflineModeIsEnabled):
        return False
    except huggingface_hub.errors.HfHubHTTPError:
        return True  # the hub answered; load_dataset gets the same error and reports it
    return True
