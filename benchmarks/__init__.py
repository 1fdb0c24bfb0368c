"""What measures. Each program starts over in an engine's environment: torch, OpenMP and the memory allocator read it as
a process begins."""

import os
import sys

from lorabot.trainer.supervising import ENVIRONMENT

_missing = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
if sys.argv[0] == "-m" and _missing:  # what it is while Python still looks for the program
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **_missing})
