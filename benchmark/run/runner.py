"""One run: load the data, train, predict the test texts, write the record.

A run that ends while it trains leaves a record in the results. One that never began to train is no result: it is kept
apart.
"""

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmark.config import RunConfig, RunSpec
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.revisions import pin, with_commits
from benchmark.data.load import Splits
from benchmark.data.report import DataReport
from benchmark.files import replacing
from benchmark.interface import LOWER_RATE, Classifier, FitReport, PrecomputedClassifier, Predictions
from benchmark.processes import world_size
from benchmark.results import store
from benchmark.results.record import RunRecord, Status, sha256, to_json
from benchmark.results.store import Run
from benchmark.run import energy, failures, kept, measurement, process_group
from benchmark.run.context import fit_context, seed_libraries
from benchmark.run.folders import check_folders
from benchmark.run.job import Job, OnRecord, SavePlots, exclusive, new_job, now, with_data

log = logging.getLogger(__name__)


def run(
    config: RunConfig,
    overrides: Sequence[str] = (),
    save_plots: SavePlots | None = None,
    on_record: OnRecord = lambda _: None,
) -> Run:
    """Make the run and write its record; a finished run is returned as it is.

    Raises whatever stopped the run. If it had begun to train, a failed or interrupted record has been written.
    """
    classifier = build_classifier(config.model)
    job = new_job(config, overrides, on_record)
    with failures.recording_failures(job):
        process_group.check_batch(config.recipe.effective_batch)
        check_folders(config)
        pinned_config = pin(config)
        if pinned_config != config:
            classifier = build_classifier(pinned_config.model)
            job = new_job(pinned_config, with_commits(overrides, config, pinned_config), on_record)
    with failures.recording_failures(job):
        job, splits = with_data(job, classifier)
        _log_data(job.record.config, splits.report)
        lock = job.lock()
    with exclusive(lock):
        job = job.after_earlier_training()
        with failures.recording_failures(job):
            finished = None if config.force else job.finished_run()
            process_group.announce_run(job.work_dir if finished is None else None)
            if finished is None:
                return _train_and_predict(job, classifier, splits, save_plots)
    log.info("already finished in %s; force=true runs it again", finished.folder)
    if job.model_dir is not None and not (job.model_dir / store.RECORD).is_file():
        log.warning("its model is not in %s; force=true trains it again and saves it there", job.model_dir)
    failures.delete_failure_records(job.config, finished.record)
    return finished


def _train_and_predict(job: Job, classifier: Classifier, splits: Splits, save_plots: SavePlots | None) -> Run:
    """Make the run, write it to the results, and delete its checkpoints."""
    record, predictions = _fit_and_predict(job, classifier, splits)
    content = store.encode_predictions(splits.test, predictions, record.labels)
    with_validation = _validation_is_useful(record, classifier, predictions)
    process_group.announce_validation(with_validation)
    validation = _predict_validation(classifier, splits, record) if with_validation else None
    record = replace(
        record,
        status=Status.completed,
        finished=now(),
        predictions_sha256=sha256(content),
        validation_sha256=None if validation is None else sha256(validation),
    )
    written = job.write(record, content, save_plots, validation)
    if job.model_dir is not None:
        _keep_record(job.model_dir, written)
    failures.delete_failure_records(job.config, record)
    shutil.rmtree(job.work_dir, ignore_errors=True)
    log.info("wrote %s", written.folder)
    return written


def _fit_and_predict(job: Job, classifier: Classifier, splits: Splits) -> tuple[RunRecord, Predictions]:
    """Train, and predict the test texts; the record says how, and what it took."""
    config, context = job.config, fit_context(job.config.spec, job.work_dir)
    context = replace(
        context, report_to=tuple(config.report_to), model_dir=job.model_dir, training_begins=job.begin_training
    )
    seed_libraries(config.seed)
    seconds, joules = dict(job.record.seconds), dict(job.record.joules)
    machine = job.record.environment
    continues = job.has_checkpoints
    measurement.reset_peak_memory()
    with _measure_time(seconds, "fit"), energy.measure(joules, "fit", machine.processes):
        fit = _restore_kept_model(job, classifier) or classifier.fit(splits.train, splits.validation, context)
    matched = classifier.match(splits.test, context) if isinstance(classifier, PrecomputedClassifier) else {}
    if fit.trained_parameters != 0:  # a model need not call context.training_begins
        job.begin_training()
    log.info("predicting the %d texts of the test split", len(splits.test))
    with _measure_time(seconds, "predict"), energy.measure(joules, "predict", machine.processes):
        predictions = classifier.predict(splits.test.texts)
    machine = replace(machine, device_shared=measurement.shared_by_now(machine.device_shared))
    if continues:  # the energy of the part before the interruption is not known
        joules.pop("fit", None)
    if not fit.on_gpu:
        joules = {phase: {"cpu": of_phase["cpu"]} for phase, of_phase in joules.items() if "cpu" in of_phase}
    predictions.check(len(splits.test), len(context.labels), "test row {}".format, _advice(fit))
    if predictions.truncated_texts:
        log.info("%d of %d test texts cut to %d tokens", predictions.truncated_texts, len(splits.test),
                 config.recipe.max_length)  # fmt: skip
    record = replace(
        job.record,
        environment=machine,
        fit=fit,
        seconds=seconds,
        joules=joules,
        peak_memory=measurement.peak_memory(),
        matched=matched,
        predicted_rows=len(splits.test),
        truncated_test_texts=predictions.truncated_texts,
    )
    return record, predictions


def _validation_is_useful(record: RunRecord, classifier: Classifier, test: Predictions) -> bool:
    """Whether the report can fit a temperature on predictions of the validation split, at little cost.

    It cannot for predictions without confidences, a part of the test texts, or changed test texts. Where nothing was
    trained, these predictions would cost as much as the run.
    """
    dataset = record.config.dataset
    whole = dataset.test_rows is None and dataset.perturb is None
    return whole and test.has_confidences and record.trained and not isinstance(classifier, PrecomputedClassifier)


def _predict_validation(classifier: Classifier, splits: Splits, record: RunRecord) -> bytes:
    """Predict the validation split; returns the predictions as the content of a file."""
    log.info("predicting the %d texts of the validation split", len(splits.validation))
    predictions = classifier.predict(splits.validation.texts)
    predictions.check(len(splits.validation), len(record.labels), "validation row {}".format, _advice(record.fit))
    return store.encode_predictions(splits.validation, predictions, record.labels)


def _advice(fit: FitReport | None) -> str | None:
    """What to do about probabilities that are not finite, if it is a matter of options."""
    if fit is not None and fit.steps:  # of gradient descent
        return LOWER_RATE
    return None if fit is None or fit.precision == "fp32" else "Set model.precision=fp32."


def _restore_kept_model(job: Job, classifier: Classifier) -> FitReport | None:
    """Load the model that a run on the unchanged test texts kept, instead of training; None without such a model."""
    if job.config.dataset.perturb is None or job.config.models_dir is None or world_size() > 1:
        return None
    kept_model = kept.find_kept_model(Path(job.config.models_dir), job.record.config, job.record.data_sha256)
    if kept_model is None:
        log.info("%s has no model of this configuration; training it", job.config.models_dir)
        return None
    log.info("reading the model in %s", kept_model[0])
    return replace(kept.restore_model(*kept_model, classifier).fit, trained_parameters=0)


def _keep_record(folder: Path, run: Run) -> None:
    """Write the record beside the saved model: it holds all that is needed to use the model again.

    If it cannot be written, a warning is logged: the run is finished.
    """
    assert run.record.fit is not None
    if run.record.fit.saved_sha256 is None:
        log.warning("nothing was saved in %s: this run trained no model that can be saved", folder)
        return
    try:
        with replacing(folder / store.RECORD) as path:
            path.write_bytes(to_json(run.record))
    except OSError as error:
        log.warning("the model in %s cannot be used, because its record could not be written (%s); free some space, "
                    "then copy %s/%s there", folder, error, run.folder, store.RECORD)  # fmt: skip
    else:
        log.info("saved the model in %s", folder)


def _log_data(spec: RunSpec, report: DataReport) -> None:
    """Say what is run on which rows, and what the checks of the data found."""
    sizes = ", ".join(f"{split.rows} {name}" for name, split in report.splits.items())
    log.info("%s on %s (%s; %s), recipe %s, seed %d", spec.model.title, spec.dataset.name, sizes, report.route,
             spec.recipe.name, spec.seed)  # fmt: skip
    for note in report.notes:
        log.info("%s", note)
    if hint := _trial_hint(spec, report):
        log.info("%s", hint)
    overlaps = [
        f"{len(overlap.ids)} of {overlap.of} in {overlap.within} ({len(overlap.conflicting_ids)} with another label)"
        for overlap in report.overlaps
        if overlap.ids
    ]
    if overlaps:
        log.info("texts that occur in two splits: %s", ", ".join(overlaps))


def _trial_hint(spec: RunSpec, report: DataReport) -> str | None:
    """The options that limit the other splits too, if only the training rows of a run are limited."""
    rows, limits = spec.dataset.train_rows, spec.dataset.row_limits
    whole = [name for name, limit in limits.items() if rows and limit is None and report.splits[name].rows > rows]
    if not whole:
        return None
    sizes = " and ".join(f"all {report.splits[name].rows:,} {name} rows" for name in whole)
    options = " ".join(f"dataset.{name}_rows={rows}" for name in whole)
    return f"This run uses {sizes}. For a short run add {options}."


@contextmanager
def _measure_time(seconds: dict[str, float], phase: str) -> Iterator[None]:
    """Store the seconds that the block takes in `seconds[phase]`."""
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started
