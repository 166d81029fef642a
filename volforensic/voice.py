"""What a run says while it works: the command line is one such voice, tests are others."""

from typing import Protocol

from volforensic.record import Finding, Problem


class Voice(Protocol):
    """What is said while stages run."""

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """Begin a stage of ``total`` units, None where nobody knows."""

    def advance(self, amount: int, current: str = "") -> None:
        """Count more units as done; ``current`` is the object in hand."""

    def end_stage(self, note: str = "") -> None:
        """End the stage."""

    def finding(self, finding: Finding) -> None:
        """Tell a finding."""

    def problem(self, problem: Problem) -> None:
        """Tell what could not be read."""
