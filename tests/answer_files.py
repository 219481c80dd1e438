"""Files of answers in the formats of other programs, about the same six made-up texts."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LABELS = ("calm", "glad", "tense")
TEXTS = tuple(f"made-up sentence number {word}" for word in ("one", "two", "three", "four", "five", "six"))
GOLD = ("calm", "glad", "tense", "glad", "calm", "glad")
PREDICTED = ("calm", "glad", "calm", "glad", "tense", "calm")  # rows 3, 5 and 6 are wrong
CORRECT = (True, True, False, True, False, False)


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def label_rows(predicted: Sequence[str] = PREDICTED, gold: Sequence[str] = GOLD) -> list[dict[str, Any]]:
    pairs = enumerate(zip(gold, predicted, strict=True))
    return [{"id": f"row-{number}", "gold": one, "predicted": other} for number, (one, other) in pairs]


def llama_factory_rows(predicted: Sequence[str] = PREDICTED) -> list[dict[str, Any]]:
    rows = zip(TEXTS, predicted, GOLD, strict=True)
    return [{"prompt": f"<|user|>{text}<|end|>", "predict": f" {one}\n", "label": gold} for text, one, gold in rows]


def lm_eval_rows(
    predicted: Sequence[str] = PREDICTED, filter_name: str = "none", **metrics: Sequence[Any]
) -> list[dict[str, Any]]:
    """Free generation with `exact_match`, or with these metrics."""
    metrics = metrics or {"exact_match": [float(a == b) for a, b in zip(GOLD, predicted, strict=True)]}
    return [
        {
            "doc_id": number,
            "doc": {"text": text, "label": LABELS.index(gold)},
            "target": gold,
            "arguments": {"gen_args_0": {"arg_0": f"Emotion of: {text}", "arg_1": {"until": ["\n"]}}},
            "resps": [[answer]],
            "filtered_resps": [answer],
            "filter": filter_name,
            "metrics": list(metrics),
            "doc_hash": f"{number:064x}",
            "prompt_hash": "a" * 64,
            "target_hash": "b" * 64,
            **{name: values[number] for name, values in metrics.items()},
        }
        for number, (text, gold, answer) in enumerate(zip(TEXTS, GOLD, predicted, strict=True))
    ]


def lm_eval_choice_rows(predicted: Sequence[str] = PREDICTED) -> list[dict[str, Any]]:
    """Multiple choice: one request per label, the target is its number."""
    rows = lm_eval_rows(predicted, acc=[float(a == b) for a, b in zip(GOLD, predicted, strict=True)])
    for row, text, gold, answer in zip(rows, TEXTS, GOLD, predicted, strict=True):
        row["target"] = str(LABELS.index(gold))
        row["arguments"] = {f"gen_args_{n}": {"arg_0": text, "arg_1": f" {label}"} for n, label in enumerate(LABELS)}
        row["filtered_resps"] = [["-1.5" if label == answer else "-7.25", "False"] for label in LABELS]
        row["resps"] = [[response] for response in row["filtered_resps"]]
    return rows


def lighteval_rows(predicted: Sequence[str] = PREDICTED) -> list[dict[str, Any]]:
    return [
        {
            "doc": {
                "query": text,
                "choices": [f" {label}" for label in LABELS],
                "gold_index": LABELS.index(gold),
                "id": str(number),
                "task_name": "mood|0",
            },
            "metric": {"loglikelihood_acc": int(gold == answer)},
            "model_response": {"input": text, "text": [answer], "logprobs": [-1.0, -2.0, -3.0]},
        }
        for number, (text, gold, answer) in enumerate(zip(TEXTS, GOLD, predicted, strict=True))
    ]


def every_eval_ever_rows(predicted: Sequence[str] = PREDICTED, model: str = "a-lab/a-model") -> list[dict[str, Any]]:
    attribution = {"turn_idx": 0, "source": "output.raw", "extraction_method": "exact_match", "is_terminal": True}
    return [
        {
            "schema_version": "0.3.0",
            "evaluation_id": f"mood/{model}/1",
            "model_id": model,
            "evaluation_name": "mood",
            "sample_id": f"mood-{number}",
            "interaction_type": "single_turn",
            "input": {"raw": text, "reference": [str(LABELS.index(gold))], "choices": list(LABELS)},
            "output": {"raw": [f"It is {answer}."]},
            "messages": None,
            "answer_attribution": [{**attribution, "extracted_value": answer}],
            "evaluation": {"score": float(gold == answer), "is_correct": gold == answer},
        }
        for number, (text, gold, answer) in enumerate(zip(TEXTS, GOLD, predicted, strict=True))
    ]


def every_format(folder: Path) -> dict[str, Path]:
    """The same answers in a file of each format."""
    return {
        "csv": write_csv(folder / "mine.csv", label_rows()),
        "jsonl": write_jsonl(folder / "mine.jsonl", label_rows()),
        "LLaMA-Factory": write_jsonl(folder / "lora" / "generated_predictions.jsonl", llama_factory_rows()),
        "lm-eval": write_jsonl(folder / "a__model" / "samples_mood_2026-01-01.jsonl", lm_eval_rows()),
        "lm-eval choice": write_jsonl(folder / "b__model" / "samples_mood_2026-01-01.jsonl", lm_eval_choice_rows()),
        "lighteval": write_parquet(folder / "c" / "2026-01-01" / "details_mood|0_2026-01-01.parquet", lighteval_rows()),
        "Every Eval Ever": write_jsonl(folder / "0123_samples.jsonl", every_eval_ever_rows()),
    }
