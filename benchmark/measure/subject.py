"""The subject of a measurement of speed."""

from dataclasses import replace

from benchmark.config import RunSpec
from benchmark.interface import FitReport
from benchmark.results import environment
from benchmark.results.speed import Subject
from benchmark.run import measurement


def subject_of(spec: RunSpec, fit: FitReport, device_shared: bool | None) -> Subject:
    """The model, what its weights are, and the machine; `device_shared` was found before the measurement."""
    machine = replace(environment.describe(), device_shared=measurement.shared_by_now(device_shared))
    return Subject(
        model=spec.model.name,
        title=spec.model.title,
        recipe=spec.recipe.name,
        pretrained=fit.weights.stand_in is None,
        device=machine.hardware(fit.device),
        environment=machine,
    )
