"""Asks for kernels and has them compiled as on an H100, without one. A process of its own: tests have Triton interpret.

    python -m tests.trainer.fast.without_a_card

What it finds goes to standard output as JSON.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.fast.compiled import Compiled
from lorabot.trainer.fast.entrance import lay_out, prepare
from lorabot.trainer.kernels.ahead import Note, Wanted, compile_apart, wanted_by
from tests.trainer.conftest import tiny_recipe

SOME = 8


class Card:
    """Triton's driver, as far as it is asked before a kernel runs."""

    def get_current_device(self) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_stream(self, device: int) -> int:
        return device


class Asking(Compiled):
    """Kernels are asked for, and never run."""

    def __init__(self) -> None:
        super().__init__()
        self._asking = True
        self.wanted: list[Wanted] = []

    def prepare(self, act: Callable[[], object]) -> Callable[[], None]:
        wanted_by(act, self.wanted.append)
        return lambda: None


def noting(kernels: Sequence[Wanted]) -> Callable[[Note], None]:
    """What finds these."""

    def find(note: Note) -> None:
        for each in kernels:
            note(each)

    return find


def kept() -> set[str]:
    return {each.name for each in Path(os.environ["TRITON_CACHE_DIR"]).glob("*")}


def main() -> None:
    driver.set_active(Card())  # type: ignore[arg-type]
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=2,
        norm_num_groups=8,
    )
    unet.to(torch.bfloat16).requires_grad_(False)
    with adapter.attached({"unet": unet}, tiny_recipe(layers="attention"), 1):
        ops = Asking()
        network = lay_out(unet, ops).network
        prepare(unet, network)
        noisy = torch.zeros(2, 4, 24, 16)
        times, conditions = torch.zeros(2, dtype=torch.int64), Conditions(torch.zeros(2, 77, 32))

        def there_and_back() -> None:
            _, learn = network.forward(noisy, times, conditions)
            learn(noisy)

        really = list[Wanted]()
        wanted_by(there_and_back, really.append)
    before = kept()
    compile_apart(noting(ops.wanted[:SOME]), cores=2)()
    apart = kept()
    for each in ops.wanted[:SOME]:
        each.compile()
    here = kept()
    broken = Wanted(ops.wanted[0].module, ops.wanted[0].name, "{}")
    one_more = ops.wanted[SOME]
    compile_apart(noting([*[broken] * (SOME - 1), one_more]), cores=2)()  # what fails stands in no way
    despite = kept() - here
    found = {
        "foreseen": len(ops.wanted),
        "not foreseen": [each.name for each in set(really) - set(ops.wanted)],
        "before": len(before),
        "apart": len(apart),
        "new here": sorted(here - apart),
        "despite others": len(despite),
        "values": len({parameter.device.type for parameter in unet.parameters()}),
    }
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # else Triton's bindings list all that they did not free


if __name__ == "__main__":
    main()
