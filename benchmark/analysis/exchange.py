"""Answers to test items as other programs write them, read into one form.

Fields are those of lm-evaluation-harness 0.4.13 (`--log_samples`), lighteval 0.13 (details), Every Eval Ever (schema
0.3, instance level) and LLaMA-Factory 0.9 (`generated_predictions.jsonl`). Other files need gold and predicted labels.
"""

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.file_formats import OBJECT_SUFFIXES, read_objects
from benchmark.errors import BenchmarkError
from benchmark.files import ANSWER_KEYS, GOLD_KEYS, TEXT_KEYS
from benchmark.predictions import normalized_label

EVERY_EVAL_EVER = {"evaluation_id", "model_id", "evaluation_name", "sample_id", "input", "evaluation"}
LM_EVAL = {"doc_id", "target", "arguments", "filtered_resps"}
LM_EVAL_FIELDS = LM_EVAL | {"doc", "resps", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"}
LIGHTEVAL = {"doc", "metric", "model_response"}

UNREADABLE = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""The exceptions that reading a row raises if it lacks fields of its format."""

Objects = list[tuple[str, dict[str, Any]]]
"""Rows with their locations."""


@dataclass(frozen=True)
class GradedAnswer:
    """The answer to one test item. None stands for what the file does not say."""

    location: str  # for error messages, for example "a.csv, row 7"
    correct: bool
    id: str | None = None
    text: str | None = None
    gold: str | None = None
    predicted: str | None = None


@dataclass(frozen=True)
class Answers:
    """The answers of one file in its order. Equal ids of the same kind name the same item."""

    path: str
    model: str  # a name for people
    rows: tuple[GradedAnswer, ...]
    id_kind: str
    configuration: str | None = None  # of a run; runs that share it are seeds of one model
    digest: str | None = None  # of a run
    test_sha256: str | None = None
    metric: str | None = None  # that says which answers are correct; None if labels do
    filter: str | None = None  # of lm-evaluation-harness
    unknown: int = 0  # predictions that are none of the gold labels

    def __post_init__(self) -> None:
        first: dict[str, str] = {}
        for answer in self.rows:
            if answer.id is not None and first.setdefault(answer.id, answer.location) != answer.location:
                raise BenchmarkError(
                    f"{answer.location}: the id {answer.id!r} is also that of {first[answer.id]}.",
                    "Give one answer per item.",
                )


Choices = Mapping[str, Sequence[str]]
"""What the user chose for files that hold several: values of `metric` and `filter`."""


def read_answers(path: Path, choices: Choices) -> Answers:
    """Read a `.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet` file; its first row tells the format."""
    if path.suffix not in OBJECT_SUFFIXES:
        raise BenchmarkError(
            f"{path} is not a run and has none of the endings {', '.join(OBJECT_SUFFIXES)}.",
            "Give the folder of a run with its record.json, or a file with such an ending.",
        )
    objects = read_objects(path)
    keys = set(objects[0][1])
    for required, reader in FORMATS:
        if required <= keys:
            try:
                return reader(path, objects, choices)
            except UNREADABLE as error:
                raise _other_form(str(path), error) from error
    return _labels(path, objects)


def _lm_eval(path: Path, objects: Objects, choices: Choices) -> Answers:
    """The answers in samples of lm-evaluation-harness, which have one row per document and filter.

    `doc_hash` tells the documents of two versions of a task apart.
    """
    kept_filter = _choose("filter", _distinct(_filter(row) for _, row in objects), choices, path)
    objects = [(place, row) for place, row in objects if _filter(row) == kept_filter]
    first = objects[0][1]
    metrics = first.get("metrics") or [name for name in first if name not in LM_EVAL_FIELDS]
    metric = _choose("metric", metrics, choices, path)
    hashed = all(row.get("doc_hash") for _, row in objects)

    def answer(place: str, row: dict[str, Any]) -> GradedAnswer:
        prompt, continuations = _lm_eval_requests(row)
        identifier = f"{row['doc_id']}, {row['doc_hash'][:16]}" if hashed else str(row["doc_id"])
        gold, predicted = _option_at(str(row["target"]), continuations), row["filtered_resps"][0]
        if not isinstance(predicted, str):  # log-likelihoods; each metric picks from them in its own way
            highest = max(
                range(len(continuations)), key=lambda place: float(row["filtered_resps"][place][0]), default=0
            )
            predicted = continuations[highest] if metric == "acc" and continuations else None
        return GradedAnswer(place, _score(row, metric, place), identifier, prompt, gold, predicted)

    kind = "doc_id and doc_hash" if hashed else "doc_id"
    return Answers(
        str(path), path.resolve().parent.name, _rows(objects, answer), kind, metric=metric, filter=kept_filter
    )


def _lm_eval_requests(row: dict[str, Any]) -> tuple[str | None, list[str]]:
    """The prompt, and the continuations of a multiple choice; none if they are not distinct or the answer is free."""
    arguments = row["arguments"]
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    pairs = [list(request.values()) if isinstance(request, dict) else request for request in requests]
    continuations = [pair[1].strip() for pair in pairs if len(pair) > 1 and isinstance(pair[1], str)]
    prompt = pairs[0][0] if isinstance(pairs[0][0], str) else None
    return prompt, continuations if len(continuations) == len(set(continuations)) else []


def _lighteval(path: Path, objects: Objects, choices: Choices) -> Answers:
    """The answers in `details/MODEL/DATE/details_TASK_DATE.parquet` of lighteval, which has one row per document."""
    metrics = [name for name, value in objects[0][1]["metric"].items() if value is not None]
    metric = _choose("metric", metrics, choices, path)

    def answer(place: str, row: dict[str, Any]) -> GradedAnswer:
        doc, texts = row["doc"], row["model_response"]["text"]
        indices = doc["gold_index"] if isinstance(doc["gold_index"], list) else [doc["gold_index"]]
        gold = " | ".join(doc["choices"][index].strip() for index in indices) if doc["choices"] else None
        predicted = texts[0] if texts else None  # none for multiple choice
        return GradedAnswer(
            place, _score(row["metric"], metric, place), doc["id"] or None, str(doc["query"]), gold, predicted
        )

    task = objects[0][1]["doc"].get("task_name")
    return Answers(
        str(path), path.resolve().parent.parent.name, _rows(objects, answer), f"doc.id of {task}", metric=metric
    )


def _every_eval_ever(path: Path, objects: Objects, choices: Choices) -> Answers:
    """The answers in samples of Every Eval Ever, which have one row per sample and aggregate result."""
    models = _distinct(row["model_id"] for _, row in objects)
    if len(models) > 1:
        raise BenchmarkError(
            f"{path} has answers of the models {', '.join(models)}.", "Write the rows of each model_id to its own file."
        )
    key = "evaluation_result_id" if all("evaluation_result_id" in row for _, row in objects) else "evaluation_name"
    result = _choose("metric", _distinct(row[key] for _, row in objects), choices, path)
    objects = [(place, row) for place, row in objects if row[key] == result]

    def answer(place: str, row: dict[str, Any]) -> GradedAnswer:
        correct, stated = _score(row["evaluation"], "score", place), row["evaluation"]["is_correct"]
        if stated is not correct:
            raise BenchmarkError(
                f"{place}: is_correct is {stated} with the score {int(correct)}.",
                "Export the results of a metric whose score is 1 for a correct answer.",
            )
        extracted = [part["extracted_value"] for part in row["answer_attribution"] if part["is_terminal"]]
        options = row["input"].get("choices") or []
        references = [
            reference if reference in options else _option_at(reference, options)
            for reference in row["input"]["reference"]
        ]
        gold, predicted = " | ".join(references) or None, extracted[-1] if extracted else None
        return GradedAnswer(place, correct, str(row["sample_id"]), str(row["input"]["raw"]), gold, predicted)

    kind = f"sample_id of {objects[0][1]['evaluation_name']}"
    return Answers(str(path), models[0], _rows(objects, answer), kind, metric=result)


def _labels(path: Path, objects: Objects) -> Answers:
    """The answers in a file with gold and predicted labels.

    Case, outer space and the Unicode form of labels do not matter, as for `model=external`.
    """
    names = list(objects[0][1])
    gold_key, predicted_key = (_column(path, names, keys) for keys in (GOLD_KEYS, ANSWER_KEYS))
    text_key = next((name for name in TEXT_KEYS if name in names), None)
    golds = {_label(row, gold_key, place) for place, row in objects}
    distinct = len({normalized_label(gold) for gold in golds}) == len(golds)
    fold = normalized_label if distinct else str

    def answer(place: str, row: dict[str, Any]) -> GradedAnswer:
        gold, predicted = _label(row, gold_key, place), _label(row, predicted_key, place)
        if not gold:
            raise BenchmarkError(f"{place}: there is no gold label.", "Write one, or leave the row out of all files.")
        identifier = _identifier(row["id"]) if "id" in names and row["id"] not in (None, "") else None
        text = None if text_key is None or row[text_key] is None else str(row[text_key])
        return GradedAnswer(place, fold(gold) == fold(predicted), identifier, text, gold, predicted)

    rows = _rows(objects, answer)
    known = {fold(gold) for gold in golds}
    unknown = sum(fold(str(row.predicted)) not in known for row in rows)
    if unknown == len(rows):
        raise BenchmarkError(
            f"{path}: no value of '{predicted_key}' is a value of '{gold_key}' "
            f"(first: {reprlib.repr(rows[0].predicted)} and {reprlib.repr(rows[0].gold)}).",
            "Write the labels of both columns in the same form.",
        )
    exported = path.stem == "generated_predictions"  # LLaMA-Factory's name for every file
    model = path.resolve().parent.name if exported else path.stem
    return Answers(str(path), model, rows, "id", unknown=unknown)


def _identifier(value: Any) -> str:
    """An id as text; pandas writes a whole number as 0.0 if another row has none."""
    text = str(value)
    return text.removesuffix(".0") if re.fullmatch(r"\d+\.0", text) else text


FORMATS: tuple[tuple[set[str], Callable[[Path, Objects, Choices], Answers]], ...] = (
    (EVERY_EVAL_EVER, _every_eval_ever),
    (LM_EVAL, _lm_eval),
    (LIGHTEVAL, _lighteval),
)


def _rows(objects: Objects, answer: Callable[[str, dict[str, Any]], GradedAnswer]) -> tuple[GradedAnswer, ...]:
    rows = []
    for place, row in objects:
        try:
            rows.append(answer(place, row))
        except UNREADABLE as error:
            raise _other_form(place, error) from error
    return tuple(rows)


def _other_form(place: str, error: Exception) -> BenchmarkError:
    return BenchmarkError(
        f"{place}: a field is missing or has an unknown form ({error!r}).",
        "Export the file again, or write a .csv file with the columns id, gold and predicted.",
    )


def _choose(option: str, available: list[str], choices: Choices, path: Path) -> str:
    """The only available metric or filter, or the one that the user chose."""
    given = choices.get(option, ())
    chosen = [name for name in available if name in given] if given else available
    if len(chosen) == 1:
        return chosen[0]
    if not available:
        raise BenchmarkError(f"{path} has no {option}.", "Export it again with a metric of each item.")
    what = f"has the {option}s" if chosen else f"has none of the {option}s {', '.join(given)}, only"
    raise BenchmarkError(f"{path} {what} {', '.join(available)}.", f"Choose one: --{option} {available[0]}.")


def _score(row: dict[str, Any], metric: str, place: str) -> bool:
    value = row.get(metric)
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise BenchmarkError(
        f"{place}: '{metric}' is {reprlib.repr(value)}, neither 0 nor 1.",
        "Use a metric that counts each item as right or wrong, such as acc or exact_match.",
    )


def _column(path: Path, names: list[str], known: tuple[str, ...]) -> str:
    present = [name for name in names if name in known]
    if len(present) == 1:
        return present[0]
    what = f"several of the columns {', '.join(present)}" if present else f"no column '{known[0]}'"
    raise BenchmarkError(
        f"{path} has {what} (its columns: {reprlib.repr(names)}).",
        "Name the column of the correct labels 'gold' and that of the model's labels 'predicted'.",
    )


def _label(row: dict[str, Any], key: str, place: str) -> str:
    """The label under `key` as text; raises `BenchmarkError` for another type."""
    if type(row.get(key)) in (str, int):
        return str(row[key]).strip()
    raise BenchmarkError(
        f"{place}: '{key}' is {reprlib.repr(row.get(key))}.", "Write a text or a whole number, '' for no answer."
    )


def _option_at(gold: str, options: Sequence[str]) -> str:
    """The option with the number `gold`, or `gold` if it is none."""
    return options[int(gold)] if gold.isdecimal() and int(gold) < len(options) else gold


def _filter(row: dict[str, Any]) -> str:
    return str(row.get("filter", "none"))


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
