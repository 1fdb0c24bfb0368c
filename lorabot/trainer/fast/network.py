"""A frozen UNet with its adapter, forward and backward by hand, in channels-last rows and without autograd."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import torch
from torch.nn import functional

from lorabot.trainer.conditions import Conditions
from lorabot.trainer.fast.attention import Shape
from lorabot.trainer.fast.convolving import Convolution, Upsampling, convolve_back
from lorabot.trainer.fast.embedding import Embedding
from lorabot.trainer.fast.maps import Back, Map, Part, Step, flat
from lorabot.trainer.fast.primitives import GroupNorm, Primitives
from lorabot.trainer.fast.transforming import Transformer
from lorabot.trainer.fast.weights import TextProduct, Weights

Learn = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
"""From the gradient (B, C, H, W) of what was predicted, fills the adapter's gradients; returns those of the texts, if
they are wanted: of their states (B, L, D) and, where the network has them, of the texts in one vector (B, P)."""


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A part where it stands: whether it gets the last map that was put by beside its input, and puts its own by."""

    part: Part
    takes: bool = False
    puts: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The parts in their order. ``times`` (all shifts, E) with ``times_bias`` makes the shifts, as wide as ``widths``.

    ``first`` is the convolution before the parts; ``norm`` and ``last`` with ``last_bias`` come after them. Latents'
    heights and widths are multiples of ``grain``, to be halved as often as there are levels.
    """

    ops: Primitives
    weights: Weights
    texts: TextProduct
    embed: Embedding
    times: torch.Tensor
    times_bias: torch.Tensor
    widths: tuple[int, ...]
    first: Convolution
    links: tuple[Link, ...]
    norm: GroupNorm
    last: torch.Tensor
    last_bias: torch.Tensor
    grain: int

    def attentions(self, height: int, width: int, texts: int) -> set[Shape]:
        """What attends to pictures whose latents are ``height`` x ``width``, and to as many tokens of ``texts``."""
        found: set[Shape] = set()
        for link in self.links:
            match link.part:
                case Convolution(stride=stride):
                    height, width = ceil(height / stride), ceil(width / stride)
                case Upsampling():
                    height, width = 2 * height, 2 * width
                case Transformer(blocks=blocks):
                    found.update(*(block.shapes(self.ops, height * width, texts) for block in blocks))
        return found

    @torch.no_grad()
    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        conditions: Conditions,
        again: bool = False,
        hears: bool = True,
    ) -> tuple[torch.Tensor, Learn]:
        """What is predicted, as ``Denoiser`` has it, of the network's type; and how the adapter learns from it.

        With ``again`` less is kept until then, and computed again. ``hears``: whether whoever made the texts' states
        learns, too.
        """
        ops, dtype = self.ops, self.first.weight.dtype
        self.weights.begin(ops)
        embedded = self.embed(timesteps, conditions)
        made = (functional.silu(embedded) @ self.times.t()).to(self.times_bias.dtype) + self.times_bias
        shifts = [shift.contiguous() for shift in torch.split(made, list(self.widths), dim=1)]
        states = conditions.states.to(dtype)
        flat_states = states.reshape(-1, states.shape[-1])
        texts = self.texts(flat_states).view(*states.shape[:2], -1)
        step = Step(ops, shifts, texts, again, hears and conditions.pooled is not None)
        given = noisy.to(dtype).contiguous(memory_format=torch.channels_last)
        now = self.first.of(step, given, learnt=False)
        by: list[Map] = [now]
        went: list[tuple[tuple[Map, ...], Map, Back]] = []
        for link in self.links:
            sources = (now, by.pop()) if link.takes else (now,)
            now, back = link.part.forward(step, sources)
            if now.learnt:
                went.append((sources, now, back))
            if link.puts:
                by.append(now)
        normal, factors = ops.group_norm([now.source], now.batch, None, self.norm, silu=True)
        size = (now.height, now.width)
        predicted = functional.conv2d(
            now.next(normal, now.stats, True).pictures(), self.last, self.last_bias, padding=1
        )

        @torch.no_grad()
        def learn(gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
            wanted = gradient.to(dtype).contiguous(memory_format=torch.channels_last)
            found = flat(convolve_back(wanted, self.last, size))
            (found,) = ops.normalise_back([now.rows], factors, self.norm, True, found, [()])
            waiting: dict[int, list[torch.Tensor]] = {id(now): [found]}
            while went:
                sources, made, back = went.pop()
                # The part after it has summed what a map's gradient is made of, unless that took the map twice.
                first, *others = waiting.pop(id(made))
                for other in others:
                    first = first + other
                more = [waiting.pop(id(source), []) for source in sources]
                for source, gone in zip(sources, back(first, more), strict=True):
                    if gone is not None and source.learnt:
                        waiting.setdefault(id(source), []).append(gone)
            rows = torch.cat([step.gradients[start] for start in sorted(step.gradients)], dim=-1).flatten(0, 1)
            self.texts.learn(rows, flat_states)
            self.weights.gradients.mul_(self.weights.scale)
            if not hears:
                return ()
            of_states = self.texts.back(rows).view(states.shape)
            if not step.shifting:
                return (of_states,)
            of_shifts = torch.cat([step.of_shifts[number] for number in range(len(shifts))], dim=1)
            of_embedded = torch.ops.aten.silu_backward(of_shifts.to(dtype) @ self.times, embedded)
            return of_states, self.embed.learn(conditions, of_embedded)

        return predicted, learn
