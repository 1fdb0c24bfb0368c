"""Takes away from the decoder's process what it does not need. Linux does all of it; elsewhere what there is."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def confine(most_memory: int, most_file: int, parent: int) -> None:
    """Limit this process for good: ``most_memory`` bytes of address space, ``most_file`` bytes a file written,
    no core dump, few open files, no network where the system lets us, and an end with the process ``parent``.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_file, most_file))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_AS, (most_memory, most_memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us in order
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # refused in some containers; the limits above hold anyway
    if os.getppid() != parent:  # it died before we could ask to die with it
        sys.exit(1)


def limit_cpu(seconds: int) -> None:
    """Let this process use ``seconds`` more of CPU time; it is killed after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
