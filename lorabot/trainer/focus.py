"""Finds where in a picture its subject is, so that a crop keeps it. Needs no model.

Spectral residual saliency (Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007): what sticks
out of a picture's own average spectrum. Unlike a count of edges it is not drawn to foliage, waves or any other texture
that goes on and on, which photos of a subject are full of. People put their subject near the middle; that counts too.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Array = npt.NDArray[np.float64]

_SIDE = 64  # the paper's: what is smaller than a sixty-fourth of a picture is not its subject
_MIDDLE = 0.3  # standard deviation of the weight of the middle, as a share of the side
_FLAT = 2.0  # grey levels; below there is nothing to see


@dataclass(frozen=True, slots=True)
class Focus:
    """How much of the subject is in each of 64 columns and rows of a picture; both sum to 1."""

    columns: Array
    rows: Array


def focus(picture: Image.Image) -> Focus:
    """Where the subject of ``picture`` is; spread around the middle where it shows nothing."""
    grey = np.asarray(picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)
    ways = (np.arange(_SIDE) + 0.5) / _SIDE - 0.5
    bell = np.exp(-0.5 * (ways / _MIDDLE) ** 2)
    weight = np.outer(bell, bell)
    if grey.std() >= _FLAT:
        weight *= _saliency(grey)
    weight /= weight.sum()
    return Focus(weight.sum(axis=0), weight.sum(axis=1))


def placed(along: Array, share: float) -> float:
    """Where a window over ``share`` of a side begins (0 to 1 - ``share``) to hold the most of what is ``along`` it."""
    places = np.linspace(0.0, 1.0 - share, _SIDE + 1)
    edges = np.linspace(0.0, 1.0, len(along) + 1)
    sums = np.concatenate([[0.0], np.cumsum(along)])
    held = np.interp(places + share, edges, sums) - np.interp(places, edges, sums)
    nearest = np.abs(places - (1.0 - share) / 2)
    return float(places[np.lexsort((nearest, -held.round(9)))[0]])


def _saliency(grey: Array) -> Array:
    spectrum = np.fft.fft2(grey)
    amplitude = np.log(np.abs(spectrum) + 1e-9)
    # The mean over 3 x 3 neighbours, round the edges, since a spectrum is periodic.
    mean = sum(np.roll(amplitude, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)) / 9
    salient = np.abs(np.fft.ifft2(np.exp(amplitude - mean + 1j * np.angle(spectrum)))) ** 2
    scaled = Image.fromarray((salient / salient.max() * 255).astype(np.uint8))
    return np.asarray(scaled.filter(ImageFilter.GaussianBlur(2.5)), dtype=np.float64) + 1e-6
