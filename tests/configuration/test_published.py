"""No local path is published: records keep the last part of a path and a hash of the files read there."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmark.config import FOLDERS, ModelConfig, RunConfig, digest_of
from benchmark.configuration.compose import compose
from benchmark.configuration.overrides import element, text_value, with_groups
from benchmark.configuration.published import published_overrides, spec_of, without_home
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import READS_FILES, Optimizer, Recipe, Schedule


@dataclass(frozen=True)
class Weights:
    source: str = "folder"
    path: str | None = field(default=None, metadata={READS_FILES: ("*.safetensors", "*.json")})


@dataclass
class Reader:
    """A model that reads files; `build_classifier` finds it as test_published.Reader."""

    weights: Weights = field(default_factory=Weights)
    adapter: str | None = field(default=None, metadata={READS_FILES: ("adapter*",)})
    note: str = "a/b"


@dataclass
class NoFiles:
    note: str = ""


RECIPE = Recipe("paper", Optimizer.adamw, 1e-3, Schedule.linear, 0.1, 0.0, 1.0, 5, 4, 3.0, 128)


def a_config(target: str = "Reader", **parameters: Any) -> RunConfig:
    model = ModelConfig("mine", f"test_published.{target}", "encoder", "Mine", parameters=parameters)
    return RunConfig(
        model=model,
        dataset=DatasetConfig("emotion", ["joy", "anger"], path="/private/data"),
        recipe=RECIPE,
        seed=0,
        results_dir="/private/results",
        checkpoints_dir="/private/checkpoints",
        models_dir="/private/models",
        force=False,
        report_to=[],
    )


def parameters_of(config: RunConfig) -> dict[str, Any]:
    return spec_of(config).model.parameters


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0$\\", exclude_categories=["C"]), min_size=1).filter(
    lambda part: part not in (".", "..")
)


@settings(deadline=None)  # Hydra's first parse is slow
@example(["0"], "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}")  # equals i if case is ignored
@given(st.lists(names, min_size=1, max_size=3), names)
def test_a_spec_and_overrides_keep_only_the_last_part_of_a_path(folders: list[str], last: str) -> None:
    path = "/".join(["/private", *folders, last])
    config = a_config(weights={"source": "folder", "path": path}, adapter=path)
    assert parameters_of(config) == {"weights": {"source": "folder", "path": last}, "adapter": last}
    assert "/private" not in json.dumps(spec_of(config).as_json())
    quoted = text_value(path)
    given_on_the_command_line = [
        f"model.weights.path={quoted}",
        f"+model.adapter={quoted}",
        f"model.weights={{source:folder,path:{quoted}}}",
        f"model.weights={{path: {quoted}, source: folder}}",
        *(f"{option}={quoted}" for option in (*FOLDERS, "dataset.path", "+dataset.path", "hydra.run.dir")),
    ]
    weights, adapter, *both = published_overrides(config, given_on_the_command_line)
    assert (element(weights), element(adapter)) == (f"DIR/{last}", f"DIR/{last}")
    assert [element(one) for one in both] == [{"source": "folder", "path": f"DIR/{last}"}] * 2
    assert published_overrides(config, [f"--config-dir={path}"]) == [f"--config-dir=DIR/{last}"]


def test_a_path_of_the_data_is_removed_whatever_the_model_reads() -> None:
    overrides = ["dataset={name: mine, path: /private/data}", "model.note='/not/a/path'", "recipe.epochs=1"]
    assert published_overrides(a_config("NoFiles"), overrides) == [
        "dataset={name:mine,path:DIR/data}", "model.note='/not/a/path'", "recipe.epochs=1",
    ]  # fmt: skip


def test_a_folder_with_a_number_as_its_name_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024/adapter_config.json").write_text("{}")
    config = compose(["model=tiny_bert", "model.adapter=2024"])
    assert str(spec_of(config).model.parameters["adapter"]).startswith("2024@")


def test_a_path_that_is_not_set_stays_null() -> None:
    assert published_overrides(a_config(), ["model.adapter=null"]) == ["model.adapter=null"]


@pytest.mark.parametrize(
    "override", ["model.prompt=list", "model.prompt=null", "dataset.test=sst2", "dataset.test=null"]
)
def test_choices_of_files_are_published_as_they_were_written(override: str) -> None:
    (read,) = with_groups([override])
    assert read != override
    assert published_overrides(a_config(), [read]) == [override]


def test_quotes_around_a_path_are_removed_with_it() -> None:
    assert published_overrides(a_config(), ["model.adapter='/private/of mine/a'"]) == ["model.adapter=DIR/a"]


def test_values_that_are_no_files_are_kept_and_the_configuration_is_not_changed() -> None:
    config = a_config(weights={"source": "random", "path": None}, adapter=None, note="/looks/like/one")
    before = asdict(config)
    spec = spec_of(config)
    assert spec.model == config.model
    assert spec.dataset == replace(config.dataset, path=None)
    assert (spec.recipe, spec.seed) == (config.recipe, config.seed)
    assert asdict(config) == before


def weights_in(folder: Path, content: str = "one") -> str:
    (folder / "logs").mkdir(parents=True)
    (folder / "model.safetensors").write_text(content)
    return str(folder)


def published_path(path: str) -> str:
    return str(parameters_of(a_config(weights={"path": path}))["weights"]["path"])


def test_the_hash_is_that_of_the_files_that_are_read(tmp_path: Path) -> None:
    first, again, other = (
        weights_in(tmp_path / str(number) / "mine", content) for number, content in enumerate(["one", "one", "two"])
    )
    (Path(again) / "README.md").write_text("not read")
    assert published_path(first) == published_path(again) != published_path(other)
    name, _, digits = published_path(first).partition("@")
    assert (name, len(digits)) == ("mine", 12)
    (Path(again) / "config.json").write_text("{}")
    assert published_path(again) != published_path(first)


def test_a_path_that_ends_in_dots_has_the_name_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(weights_in(tmp_path / "mine"))
    for path in (".", "logs/.."):
        assert published_path(path).partition("@")[0] == "mine"
        assert published_overrides(a_config(), [f"model.adapter={path}"]) == ["model.adapter=DIR/mine"]


def test_files_of_one_name_are_told_apart_by_their_content(tmp_path: Path) -> None:
    names = set()
    for content in ("a", "b"):
        file = tmp_path / content / "adapter.jsonl"
        file.parent.mkdir()
        file.write_text(content)
        names.add(parameters_of(a_config(adapter=str(file)))["adapter"])
    assert len(names) == 2
    assert {name.partition("@")[0] for name in names} == {"adapter.jsonl"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_files").mkdir()  # it matches a pattern, but cannot be opened
    with pytest.raises(BenchmarkError) as error:
        spec_of(a_config(adapter=str(tmp_path / "adapter")))
    assert str(tmp_path / "adapter/adapter_files") in error.value.problem


@pytest.mark.parametrize("option", [*FOLDERS, "force", "report_to"])
def test_folders_and_trackers_do_not_change_the_spec(option: str) -> None:
    value = {"force": True, "report_to": ["tensorboard"]}.get(option, "/elsewhere")
    changed = replace(a_config(), **{option: value})  # type: ignore[arg-type]
    assert changed != a_config()
    assert digest_of(spec_of(changed).as_json(), {}) == digest_of(spec_of(a_config()).as_json(), {})


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("/home/me/data is empty", "~/data is empty"),
        ("cannot read '/home/me'; /home/me: no", "cannot read '~'; ~: no"),
        ("/mnt/home/me/x and /home/meadow", "/mnt/home/me/x and /home/meadow"),
    ],
)
@pytest.mark.parametrize("home", ["/home/me", "/home/me/"])
def test_the_home_folder_becomes_a_tilde(home: str, text: str, published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    assert without_home(text) == published


@pytest.mark.parametrize("home", ["/", ""])
def test_without_a_home_folder_nothing_is_replaced(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    assert without_home("/home/me/data") == "/home/me/data"
