"""What all Triton kernels begin with: whose turn it is."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, index"

import triton
import triton.language as tl
from triton.language.extra import cuda


@triton.jit
def begin(waits: tl.constexpr):
    """Where programs come onto the card while those of the kernel before are still at work: let the next kernel's do so
    too, and wait here until what was before is done (CUDA's programmatic dependent launch)."""
    if waits:
        cuda.gdc_launch_dependents()
        cuda.gdc_wait()


@triton.jit
def turn(columns, backwards: tl.constexpr):
    """Which tile of rows and which of ``columns`` of channels it is this program's turn to do.

    Programs that come one after the other have neighbouring channels, then the rows below. Where most of what a kernel
    reads was only just written it goes ``backwards``: the card's cache still holds the end, and whoever reads what it
    has written finds the beginning there.
    """
    number = tl.program_id(0)
    if backwards:
        number = tl.num_programs(0) - 1 - number
    return number // columns, number % columns
