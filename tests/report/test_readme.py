"""What the README shows is run: its YAML files, its predictions file, its Python."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from factories import a_record, publish
from factories import command_line as benchmark
from transformers import AutoConfig, AutoModelForMaskedLM

from baselines.weights.tokenizer import train_tokenizer
from benchmark.config import CONF_DIR
from benchmark.configuration.compose import compose, with_config_dir
from benchmark.results.record import Failure, Status
from benchmark.results.store import read_all

ROOT = Path(__file__).resolve().parents[2]
USAGE, MODELS, ELSEWHERE = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("usage.md", "models.md", "elsewhere.md")
)
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shown(document: str, language: str, beginning: str) -> str:
    """The only block of code in `language` that begins so."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    (block,) = [code for code in blocks if code.startswith(beginning)]
    return block


def put(folder: Path, place: str, text: str) -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_model_is_added_by_the_yaml_shown(tmp_path: Path) -> None:
    """At a toy size: its base is the tiny RoBERTa, its folder one with such weights."""
    architecture = compose(["model=tiny_roberta"]).model.parameters["architecture"]
    tokenizer = train_tokenizer(architecture, ["i feel well", "i feel rather low"])
    tokenizer.save_pretrained(tmp_path / "models/mine")
    config = AutoConfig.for_model(**architecture, pad_token_id=tokenizer.pad_token_id)
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path / "models/mine")
    text = shown("docs/models.md", "yaml", "# conf/model/mine.yaml").replace("roberta_base", "tiny_roberta")
    put(tmp_path, "conf/model/mine.yaml", text.replace("models/mine", f"{tmp_path}/models/mine"))
    small = ["dataset=synthetic", "dataset.synthetic.train=60", "dataset.synthetic.validation=12"]
    done = benchmark(tmp_path, f"--config-dir={tmp_path}/conf", "model=mine", *small, "recipe.max_steps=2")
    assert done.returncode == 0, done.stderr
    (run,) = read_all(tmp_path / "results")
    assert (run.record.model, run.record.title) == ("mine", "My RoBERTa")
    assert run.record.overrides[:2] == ["--config-dir=DIR/conf", "model=mine"]
    assert run.record.fit is not None
    assert run.record.fit.weights.source == "folder"


@pytest.mark.slow
def test_a_new_kind_of_model_is_added_by_the_files_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "bayes.py", shown("docs/models.md", "python", "# bayes.py"))
    put(tmp_path, "my_conf/model/bayes.yaml", shown("docs/models.md", "yaml", "# my_conf/model/bayes.yaml"))
    (command,) = [line for line in MODELS.splitlines() if "--config-dir my_conf" in line]
    options = shlex.split(command.replace("my_conf", f"{tmp_path}/my_conf"))[3:-1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(tmp_path))))
    done = benchmark(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    (run,) = read_all(tmp_path / "results")
    assert (run.record.title, run.record.dataset) == ("Naive Bayes", "synthetic")
    assert (run.predictions.predicted == run.gold).mean() > 0.5
    assert "Naive Bayes" in (tmp_path / "results/tables/leaderboard_synthetic.md").read_text(encoding="utf-8")


def rows(*texts: str) -> str:
    return "text,label\n" + "".join(f'"{text}",{label}\n' for text in texts for label in [text.split()[1].strip(",")])


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/data.md"])
def test_a_data_set_is_added_by_the_yaml_shown_and_predictions_of_others_are_scored(
    document: str, tmp_path: Path
) -> None:
    text = shown(document, "yaml", "# conf/dataset/reviews.yaml")
    assert yaml.safe_load(text)["path"] == "data/reviews"
    put(tmp_path, "conf/dataset/reviews.yaml", text.replace("data/reviews", f"{tmp_path}/data/reviews"))
    train = [f"a {label} {thing}, number {number}" for number in range(12) for label, thing in TOYS]
    put(tmp_path, "data/reviews/train.csv", rows(*train))
    put(tmp_path, "data/reviews/test.csv", rows("a good film, well made", "a bad meal, I must say"))
    done = benchmark(tmp_path, f"--config-dir={tmp_path}/conf", "model=tfidf", "dataset=reviews")
    assert done.returncode == 0, done.stderr
    (run,) = read_all(tmp_path / "results")
    assert run.predictions.predicted.tolist() == run.gold.tolist() == [1, 0]
    assert (tmp_path / "results/tables/leaderboard_reviews.md").is_file()

    answers = put(
        tmp_path,
        "predictions.csv",
        shown("docs/elsewhere.md", "csv", "id,predict").replace("sadness", "good").replace("joy", "good"),
    )
    (command,) = [line for line in ELSEWHERE.splitlines() if line.startswith("python -m benchmark model=external")]
    _, _, _, *options, results_dir = shlex.split(command.replace("predictions.csv", str(answers)))
    assert results_dir == "results_dir=outputs/mine"
    done = benchmark(tmp_path, f"--config-dir={tmp_path}/conf", "dataset=reviews", *options)
    assert done.returncode == 0, done.stderr
    (scored,) = [run for run in read_all(tmp_path / "results") if run.record.model == "external"]
    assert scored.record.title == "My system"
    assert scored.predictions.predicted.tolist() == [1, 1]
    assert str(tmp_path) not in (scored.folder / "record.json").read_text()


TOYS = [("good", "film"), ("bad", "film"), ("good", "meal"), ("bad", "meal")]


def test_the_yaml_shown_can_be_tested_on_with_options(tmp_path: Path) -> None:
    every_line = shown("docs/data.md", "yaml", "# conf/dataset/reviews.yaml").splitlines()
    required = [line for line in every_line if line.startswith(("defaults:", "name:", "labels:", "path:"))]
    put(tmp_path, "dataset/reviews.yaml", "\n".join(required))
    options = ["dataset.test=reviews", "dataset.test.text_column=content", "dataset.test.files.label_column=category"]
    tested = compose(with_config_dir(options, tmp_path)).dataset.test
    assert tested is not None
    assert tested.files is not None
    assert (tested.name, tested.text_column, tested.files.label_column) == ("reviews", "content", "category")


def test_the_python_shown_reads_results_with_failed_runs(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(shipped, tmp_path / "project"))
    publish(Path("results"), a_record("bert_base", status=Status.failed, failure=Failure("It needs a GPU.")))
    names: dict[str, object] = {}
    exec(compile(shown("docs/output.md", "python", "from pathlib import Path"), "output.md", "exec"), names)
    assert len(names["table3"]) >= 5  # type: ignore[arg-type]
    assert names["wrong"].columns.tolist() == ["item", "gold", "predicted", "confidence"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("group", ["model", "dataset", "recipe", "experiment"])
def test_every_choice_there_is_is_listed(group: str) -> None:
    choices = [path.stem for path in (CONF_DIR / group).glob("*.yaml") if not path.stem.startswith("tiny_")]
    text = MODELS if group == "model" else USAGE
    named = set(re.findall("`(.*?)`", text)) | set(re.findall(rf"\b{group}=(\w+)", text))
    assert set(choices) <= named


def test_every_command_shown_composes(tmp_path: Path) -> None:
    """Also those that name a file which is shown."""
    put(tmp_path, "dataset/reviews.yaml", shown("README.md", "yaml", "# conf/dataset/reviews.yaml"))
    put(tmp_path, "model/bayes.yaml", shown("docs/models.md", "yaml", "# my_conf/model/bayes.yaml"))
    put(tmp_path, "model/mine.yaml", shown("docs/models.md", "yaml", "# conf/model/mine.yaml"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS)
    commands = re.findall(r"^python -m benchmark (.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert len(commands) > 12
    for command in commands:
        options = [option for option in shlex.split(command) if "=" in option]
        choices = [option for option in options if "," not in option]
        compose(with_config_dir(choices, tmp_path))
