"""``lorabot doctor``: prints what the doctor found, line by line as it is found."""

import asyncio

from rich.text import Text

from lorabot.cli.terminal import EXIT_FAILED, Terminal
from lorabot.doctor import Finding, State, examine

_STYLES: dict[State, str] = {"ok": "green", "missing": "yellow", "broken": "red"}
_NAME_WIDTH = 9


def run_doctor(terminal: Terminal) -> int:
    """Examine this host; the exit code is 1 where something that is needed is broken."""
    settings = terminal.settings()

    async def look() -> int:
        broken = 0
        async for finding in examine(settings):
            _show(terminal, finding)
            broken += finding.state == "broken"
        return broken

    broken = asyncio.run(look())
    if broken:
        terminal.print("doctor-broken", "bold red", count=broken)
        return EXIT_FAILED
    terminal.print("doctor-well", "bold green")
    return 0


def _show(terminal: Terminal, finding: Finding) -> None:
    text = terminal.translate
    state = text(f"doctor-state-{finding.state}")
    line = Text(f"{state:<8}", _STYLES[finding.state])
    line.append(f"{finding.what:<{_NAME_WIDTH}} ", "bold")
    line.append(text.text(finding.found), "default not bold")
    terminal.out.print(line)
    if finding.mend is not None:
        terminal.out.print(Text(f"{'':<{8 + _NAME_WIDTH}} {text.text(finding.mend)}", "dim"))
