"""Logistic regression on TF-IDF weighted words and word pairs: a strong and cheap baseline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from baselines.arrays import REGRESSION, all_label_probabilities, of_regression, read_arrays, save_arrays, to_regression
from benchmark.errors import BenchmarkError, check_option
from benchmark.interface import CheckResult, Examples, FitContext, FitReport, ModelCard, Predictions


@dataclass
class TfidfClassifier:
    """Logistic regression on TF-IDF features of words and n-grams up to `ngrams` words.

    N-grams in fewer than `min_df` texts are ignored. `C` is the inverse strength of the L2 penalty. With `balanced`,
    labels are weighted inversely to their frequency.
    """

    ngrams: int = 2
    min_df: int = 2
    C: float = 10.0
    balanced: bool = True

    def __post_init__(self) -> None:
        check_option("model.ngrams", self.ngrams, self.ngrams >= 1, "Set it to 1 or more.")
        check_option("model.min_df", self.min_df, self.min_df >= 1, "Set it to 1 or more.")
        check_option("model.C", self.C, self.C > 0, "Set it to a number above 0.")

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.n_labels = len(context.labels)
        if len(np.unique(train.labels)) < 2:
            raise BenchmarkError("TF-IDF cannot learn from texts of one label.", "Use texts of two or more labels.")
        vectorizer = self._vectorizer(min_df=self.min_df)
        balance = "balanced" if self.balanced else None
        regression = LogisticRegression(C=self.C, class_weight=balance, max_iter=1000, random_state=context.seed)
        try:
            features = vectorizer.fit_transform(train.texts)
        except ValueError as error:  # no n-gram is frequent enough
            raise BenchmarkError(f"TF-IDF cannot learn from these texts ({error}).", "Use more texts.") from error
        context.training_begins()
        regression.fit(features, train.labels)
        self.pipeline: Pipeline = make_pipeline(vectorizer, regression)
        parameters = int(regression.coef_.size + regression.intercept_.size)
        saved = None
        if context.model_dir is not None:
            terms = _encoded(vectorizer.get_feature_names_out())
            saved = save_arrays(context.model_dir, terms=terms, idf=vectorizer.idf_, **of_regression(regression))
        return FitReport(parameters=parameters, trained_parameters=parameters, saved_sha256=saved)

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        (terms, idf, *regression), saved = read_arrays(folder, "terms", "idf", *REGRESSION)
        vectorizer = self._vectorizer(vocabulary=_decoded(terms))
        vectorizer.idf_ = idf
        self.n_labels, self.pipeline = len(context.labels), make_pipeline(vectorizer, to_regression(*regression))
        return FitReport(saved_sha256=saved)

    def _vectorizer(self, **options: Any) -> TfidfVectorizer:
        return TfidfVectorizer(ngram_range=(1, self.ngrams), sublinear_tf=True, **options)

    def predict(self, texts: Sequence[str]) -> Predictions:
        return Predictions.from_probabilities(all_label_probabilities(self.pipeline, texts, self.n_labels))

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        return []

    def describe(self) -> ModelCard:
        return ModelCard(architecture="TF-IDF + logistic regression", weights="none", kind="linear", library="sklearn")


def _encoded(terms: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Encode the terms in UTF-8, one a line; no term has a line break.

    In an array of texts, every term would need the memory of the longest.
    """
    return np.frombuffer("\n".join(terms).encode(), dtype=np.uint8)


def _decoded(terms: npt.NDArray[Any]) -> list[str]:
    """Decode the terms that `_encoded` wrote, or an array of texts, in which earlier models were saved."""
    return terms.tolist() if terms.dtype.kind == "U" else terms.tobytes().decode().split("\n")
