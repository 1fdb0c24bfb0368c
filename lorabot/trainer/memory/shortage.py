"""Tells an error that means 'no memory left' from all others."""

import errno

import torch

_SAID = (
    "out of memory",  # CUDA's driver, cuBLAS and cuDNN, each by its own path
    "can't allocate memory",  # torch's allocator of the host's memory
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED
    "allocation_failed",  # CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, and HOST, of cuDNN 9
    "unable to find an engine",  # cuDNN's convolutions, once none of their ways found a workspace
)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that a card's or the host's memory is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM  # the system's own word, of a file that was to be mapped for one
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID)
