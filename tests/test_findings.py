import re
from pathlib import Path

from test_comparisons import evidence, told, wrong_at
from test_frontier import offer
from test_records import a_record

from benchmark.findings import LONG_TABLES, findings
from benchmark.records import Evidence
from benchmark.tables import TABLES


def test_what_is_tied_with_the_most_accurate_is_named_and_what_is_not_has_its_figures(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 7, "tfidf": 42}
    runs = [told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()]
    first = findings(evidence(*runs))[0]
    assert first.startswith(
        "The most accurate is MiniLM-L6 (22M BERT), paper (0.9900); tied with it: BERT base (uncased), paper. "
        "It leads TF-IDF + logistic regression, paper by 0.2000 (95% interval 0.1"
    )
    assert first.endswith("it alone is right on 40 texts, the other on 0.")


def test_the_dominated_are_named(tmp_path: Path) -> None:
    runs = [
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        offer(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3),
    ]
    (said,) = [sentence for sentence in findings(evidence(*runs)) if sentence.startswith("Dominated")]
    assert said.endswith("time to answer: BERT base (uncased), paper.")


def test_without_runs_only_the_study_is_spoken_of() -> None:
    said = findings(Evidence([], {}))
    assert said[0] == ("Of the study's five accuracies 4 cannot be accuracies on 2,000 texts; 0.9125 (1825/2000) can.")
    assert "about 15 texts (unpaired z 0.86)" in said[1]
    assert len(said) == 3


def test_every_table_pointed_to_exists() -> None:
    assert set(LONG_TABLES) <= set(TABLES)
    assert re.findall(r"tables/(\w+)\.md", findings(Evidence([], {}))[-1]) == list(LONG_TABLES)
