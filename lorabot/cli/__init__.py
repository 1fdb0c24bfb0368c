"""The command ``lorabot``. Every command imports what it needs when it runs, so that ``--help`` is quick."""

import sys


def main() -> None:
    """Run the command line; ends the process with the exit code."""
    from lorabot.cli.app import run

    sys.exit(run(sys.argv[1:]))
