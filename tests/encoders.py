"""Rows of texts and labels, encoded in every supported file format."""

import csv
import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

Pairs = list[tuple[str, str]]


ROWS: Pairs = [
    ("i feel calm", "joy"),
    ("i paused; then i wept; i feel low", "sadness"),
    ('she said "no", twice, and i feel it', "anger"),
    ("naïve 雪 🙂", "surprise"),
    (" spaced  ", "joy"),
    ("null", "NA"),
    ("None", "null"),
    ("NA", "None"),
    ("nan", "NaN"),
    ("1,000", "1"),
    ("# no comment", "true"),
    ("true", "0.0"),
]


def objects(rows: Pairs) -> list[dict[str, str]]:
    return [{"label": label, "text": text, "other": "ignored"} for text, label in rows]


def txt(rows: Pairs) -> bytes:
    return "".join(f"{text};{label}\n" for text, label in rows).encode()


def csv_file(rows: Pairs) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
    return file.getvalue().encode()


def tsv(rows: Pairs) -> bytes:
    return "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows]).encode()


def jsonl(rows: Pairs) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in objects(rows)).encode()


def plain_json(rows: Pairs) -> bytes:
    return json.dumps(objects(rows), indent=1, ensure_ascii=False).encode() + b"\n"


def instructions(rows: Pairs) -> bytes:
    return json.dumps([{"instruction": "Which?", "input": text, "output": label} for text, label in rows]).encode()


def parquet(rows: Pairs) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"label": [label for _, label in rows], "text": [text for text, _ in rows]}), sink)
    return bytes(sink.getvalue().to_pybytes())


FORMATS: list[tuple[str, Callable[[Pairs], bytes]]] = [
    ("a.txt", txt),
    ("a.tsv", tsv),
    ("a.csv", csv_file),
    ("a.jsonl", jsonl),
    ("a.json", plain_json),
    ("a.json", instructions),
    ("a.parquet", parquet),
]
