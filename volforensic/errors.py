"""One tree of errors; each class carries the exit status that the command ends with.

The numbers are the command line's contract (docs/command-line.md): 0 complete, 1 internal error, 2 usage, 3
complete but partial, 4 integrity, 5 the examiner's host, 7 no readable filesystem, 10 findings at or above
``--fail-on``, 75 busy, 130 interrupted; 6 is kept for what a cloud refuses. The statuses 0, 3 and 10 are outcomes of a
run that ended well and belong to no error.
"""

EXIT_COMPLETE = 0
EXIT_PARTIAL = 3
EXIT_FINDINGS = 10


class VolforensicError(Exception):
    """Something ends the command: which thing, what is wrong with it, what to do.

    ``thing`` names what the error is about (a path, an option), ``wrong`` says what is wrong with it and ``remedy``
    what the user can do. Evidence text in any of them is sanitised where it is printed, not here.
    """

    exit_status = 1

    def __init__(self, thing: str, wrong: str, remedy: str = "") -> None:
        """Keep the three parts; the message joins them."""
        self.thing = thing
        self.wrong = wrong
        self.remedy = remedy
        super().__init__(f"{thing}: {wrong}" + (f". {remedy}" if remedy else ""))


class UsageError(VolforensicError):
    """The command line, a definition or a rule is wrong."""

    exit_status = 2


class DefinitionError(UsageError):
    """An artifact definition, a detection rule or a YARA rule cannot be used."""


class IntegrityError(VolforensicError):
    """A hash differs, the evidence changed or the case is not what it was."""

    exit_status = 4


class HostError(VolforensicError):
    """The examiner's host stands in the way: permission, device, space, a missing library."""

    exit_status = 5


class SourceError(HostError):
    """The source cannot be opened or read as a whole."""


class NoFilesystemError(VolforensicError):
    """The source was opened, and nothing in it is a filesystem that can be read."""

    exit_status = 7


class BusyError(VolforensicError):
    """Another run holds the case."""

    exit_status = 75


class InterruptedRunError(VolforensicError):
    """The examiner stopped the run; what was finished is kept."""

    exit_status = 130
