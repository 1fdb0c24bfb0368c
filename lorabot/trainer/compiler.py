"""What Triton needs of the host to compile the fast way's kernels. Imports no torch."""

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path


def can_compile() -> bool:
    """Whether all is there that the fast way's kernels are compiled with."""
    return find_spec("triton") is not None and c_compiler() is not None and python_headers() is not None


def c_compiler() -> str | None:
    """The C compiler that Triton would take; None where there is none."""
    return os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")


def python_headers() -> Path | None:
    """Python's own header, which what starts a kernel is compiled with; None where it is not installed."""
    # Debian's scheme for what an administrator installs has no headers; Triton goes by this one, too.
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")
    header = Path(sysconfig.get_paths(scheme)["include"]) / "Python.h"
    return header if header.is_file() else None
