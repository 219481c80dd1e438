"""The exception for problems that the user can fix."""


class BenchmarkError(Exception):
    """A problem that the user can fix. `problem` and `fix` are one sentence each; `fix` says what to do."""

    def __init__(self, problem: str, fix: str | None = None) -> None:
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return self.problem if self.fix is None else f"{self.problem} {self.fix}"


def check_option(option: str, value: object, valid: bool, fix: str) -> None:
    """Raise `BenchmarkError` that names the option and its value, unless it is valid."""
    if not valid:
        raise BenchmarkError(f"{option} is {value}.", fix)
