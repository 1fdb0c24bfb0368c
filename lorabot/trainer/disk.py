"""Tells an error that means 'no room on the disk' from all others."""

import errno
import re

from safetensors import SafetensorError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk is full, a quota is used up, or the file would be longer than this process may make one."""
_SAID = re.compile(r"\(os error (\d+)\)")
"""How safetensors passes on what the system said."""


def disk_is_full(error: BaseException) -> bool:
    """Whether ``error`` says that no more can be written."""
    if isinstance(error, SafetensorError):
        found = _SAID.search(str(error))
        return found is not None and int(found[1]) in _FULL
    return isinstance(error, OSError) and error.errno in _FULL
