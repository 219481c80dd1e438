"""The status of a configuration in a table: whether it has results, and what limits their meaning."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Whether there are results, in the words of the tables."""

    measured = "measured"
    no_result = "no result"
    only_reduced = "only reduced runs"
    not_run = "not run"
    published = "published"  # the study's own row
    run = "run"  # in a table of settings


WITHOUT_RESULTS = (Outcome.no_result, Outcome.only_reduced, Outcome.not_run)


@dataclass(frozen=True)
class ConfigurationStatus:
    """An outcome with remarks; as text, what a table shows. The one remark of `no_result` is how the run ended."""

    outcome: Outcome
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        separator = ": " if self.outcome is Outcome.no_result else "; "
        return separator.join([self.outcome, *self.remarks])
