"""Live progress on a terminal: one line that moves, findings above it as they are found. The only user of rich."""

from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from volforensic.cli.progress import Seen, Stage, elapsed_text, ending
from volforensic.record import Finding, Problem
from volforensic.sanitiser import visible

REFRESHES = 8
"""Times a second that the line is drawn anew."""
BAR_WIDTH = 18

_STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}


class LiveVoice:
    """Draws the stage under way and prints above it. Everything printed is a ``Text``: rich reads no markup in it."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, colored: bool) -> None:
        """Take the terminal; nothing is drawn before a stage begins."""
        self._console = Console(
            file=stream,
            force_terminal=True,
            color_system="auto" if colored else None,
            no_color=not colored,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._clock = clock
        self._seen = Seen()
        self._live: Live | None = None

    def begin(self, stage: Stage) -> None:
        """Draw the line of this stage until it ends."""
        self.close()
        self._live = Live(
            get_renderable=lambda: self._line(stage),
            console=self._console,
            refresh_per_second=REFRESHES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def progress(self, stage: Stage) -> None:
        """Do nothing: the line is drawn by the clock."""

    def end(self, stage: Stage, note: str) -> None:
        """Replace the line by what was done."""
        self.close()
        self._say(Text(visible(ending(stage, self._clock(), note))))

    def finding(self, finding: Finding) -> None:
        """Print a finding above the line, its severity in colour."""
        for line in self._seen.finding_lines(finding):
            severity, rest = visible(line[:8]), visible(line[8:])
            self._say(Text.assemble((severity, _STYLES[finding.severity] if severity.strip() else ""), rest))

    def problem(self, problem: Problem) -> None:
        """Print a problem above the line."""
        for line in self._seen.problem_lines(problem):
            self._say(Text(visible(line), style="yellow" if problem.lost else "dim"))

    def message(self, text: str) -> None:
        """Print one line above the line."""
        self._say(Text(visible(text)))

    def close(self) -> None:
        """Take the line away and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _say(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _line(self, stage: Stage) -> Table:
        now = self._clock()
        line = Table.grid(padding=(0, 2), expand=True)
        cells: list[Text | ProgressBar] = [Text(visible(stage.name), style="bold")]
        # a bar alone says nothing: it comes with the object in hand
        if stage.total and stage.current:
            cells.append(ProgressBar(total=stage.total, completed=min(stage.done, stage.total), width=BAR_WIDTH))
        told = (stage.amount(), stage.rate(now), elapsed_text(now - stage.started))
        cells += [Text(visible(text)) for text in told if text]
        for _ in cells:
            line.add_column(no_wrap=True)
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        line.add_row(*cells, Text(visible(stage.current), style="dim", no_wrap=True, overflow="ellipsis"))
        return line
