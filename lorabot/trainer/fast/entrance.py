"""The entrance: decides whether the fast way can be taken, tries it against the plain one, and keeps it for later."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from lorabot.trainer.conditions import Conditions
from lorabot.trainer.fast.attention import build
from lorabot.trainer.fast.network import Network
from lorabot.trainer.fast.passes import Passes, of_autograd
from lorabot.trainer.fast.primitives import Primitives
from lorabot.trainer.fast.reading import read
from lorabot.trainer.fast.unsupported import Unsupported, Why
from lorabot.trainer.memory import ran_out_of_memory
from lorabot.trainer.offloading import device_of, roomy

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_LEAST_CAPABILITY = (8, 0)
"""Of a card: the first with bfloat16."""
_PREDICTS, _LEARNS = 0.05, 0.98
"""How far two ways in bfloat16 may be apart: a prediction, of its length; the cosine of an adapter's gradients."""
_SMALL = ((16, 24), (32, 48))
"""Heights and widths of latents: with one a little larger than usual, all their halves and halves' halves together go
through the kernels for maps of every size."""
_BUILT = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Attentions that come with torch: cuDNN would build one for each level that nothing but a comparison needs."""
_SIDE = 64
"""Of latents, where a network does not say."""
_TOKENS = 77
"""Of a text: what CLIP hears at once."""
_log = logging.getLogger(__name__)

Denoise = Callable[[torch.Tensor, torch.Tensor, Conditions], torch.Tensor]
Traced = OrderedDict[tuple[object, ...], Callable[..., torch.Tensor]]
Kind = tuple[tuple[str, torch.Size], ...]
"""A kind of adapter: the names and shapes of its parameters."""
Tried = dict[Kind, Why | None]
"""Kinds of adapter that were tried on a base, and why they can't go the fast way, if so."""


_MOST = 3
"""Kinds of adapter whose passes are kept; the one that was not used for longest makes room."""


@dataclass(slots=True)
class Warm:
    """What is kept of the fast way from one job to the next on the same base: weights laid out, passes recorded.

    Of a job nothing is in it: the next one's adapter takes the memory of the last's. ``ops`` makes what does the
    operations; unless told these are Triton's kernels, on a card. ``kept``: passes by the kind of adapter, the one used
    last at the end. ``tried``: what was found out on this base. ``traced``: what the lanes on a CPU have recorded,
    which takes nothing of a card.
    """

    ops: Callable[[], Primitives] | None = None
    kept: OrderedDict[Kind, Passes] = field(default_factory=OrderedDict)
    tried: Tried = field(default_factory=dict)
    traced: Traced = field(default_factory=OrderedDict)

    def let_go(self) -> None:
        """Give a card's memory back; what was found out is still known."""
        self.kept.clear()

    def forget(self, kind: Kind) -> None:
        """Give back what is kept for this kind of adapter."""
        self.kept.pop(kind, None)

    def keep_only(self, kind: Kind) -> None:
        """Give back what is kept for other kinds of adapter."""
        for other in [each for each in self.kept if each != kind]:
            del self.kept[other]

    def mode(self, kind: Kind) -> bool | None:
        """Whether the passes that are kept for this kind of adapter are with checkpointing; None where there are
        none."""
        passes = self.kept.get(kind)
        return None if passes is None else passes.checkpointing

    def trust(self, kind: Kind) -> None:
        """Take this kind of adapter as tried: an engine before this one has tried it."""
        self.tried.setdefault(kind, None)

    def trusts(self, kind: Kind) -> bool:
        """Whether the fast way does what the plain one does, for this kind of adapter."""
        return self.tried.get(kind, "failed") is None

    def fails(self, kind: Kind) -> bool:
        """Whether the fast way was tried for this kind of adapter, and failed or did otherwise."""
        return self.tried.get(kind) in ("failed", "differs")

    @property
    def recorded(self) -> int:
        """How many passes are kept as graphs."""
        return sum(passes.recorded for passes in self.kept.values())

    def make_room(self, device: torch.device) -> None:
        """Let go of as much as has to make room for the passes of another kind of adapter."""
        while len(self.kept) >= _MOST:
            self.kept.popitem(last=False)
        if self.kept and device.type == "cuda" and not roomy(device):
            self.let_go()


def enter(
    unet: "UNet2DConditionModel",
    plain: Denoise,
    warm: Warm,
    checkpointing: bool = False,
    lost: Callable[[], None] = lambda: None,
) -> Denoise:
    """The fast way through ``unet`` and the adapter on it, which does what ``plain`` does within bfloat16.

    With ``checkpointing`` intermediate results are computed again for the way back instead of being kept. Raises
    ``Unsupported`` with the reason where it can't be taken. ``lost`` hears when something fails on the way; from
    then on it goes by ``plain``.
    """
    make = warm.ops or _compiled(unet)
    kind = kind_of(unet)
    if (why := warm.tried.get(kind)) is not None:
        raise Unsupported(why)
    if kind not in warm.kept:
        warm.make_room(device_of(unet))
        warm.kept[kind] = _tried(unet, plain, make, warm.tried, kind)
    warm.kept.move_to_end(kind)
    warm.kept[kind].checkpointing = checkpointing

    def give_up() -> None:
        warm.tried[kind] = "failed"
        warm.kept.pop(kind, None)
        lost()

    return through(warm.kept[kind], unet, plain, give_up)


def _compiled(unet: "UNet2DConditionModel") -> Callable[[], Primitives]:
    """Triton's kernels for the card that ``unet`` is on. Raises ``Unsupported``."""
    if (
        torch.cuda.get_device_capability(device_of(unet)) < _LEAST_CAPABILITY
        or unet.conv_in.weight.dtype != torch.bfloat16
    ):
        raise Unsupported("card")
    if find_spec("triton") is None:
        raise Unsupported("triton")

    def make() -> Primitives:
        from lorabot.trainer.fast.compiled import Compiled

        return Compiled()

    return make


def _tried(
    unet: "UNet2DConditionModel",
    plain: Denoise,
    make: Callable[[], Primitives],
    tried: Tried,
    kind: Kind,
) -> Passes:
    """Passes that were tried before or agree with ``plain`` now; so far they keep nothing. Raises ``Unsupported``, and
    notes why."""
    try:
        passes = lay_out(unet, make(), checkpointing=True)
        if kind not in tried and not agrees(unet, passes, plain, prepare(unet, passes.network)):
            raise Unsupported("differs")
    except Unsupported as error:
        tried[kind] = error.why
        raise
    except Exception as error:  # whatever a compiler or a driver may say, the plain way is there
        if ran_out_of_memory(error):
            raise
        _log.exception("the fast way can't be taken here")
        tried[kind] = "failed"
        raise Unsupported("failed") from error
    tried[kind] = None
    return passes


def lay_out(unet: "UNet2DConditionModel", ops: Primitives, checkpointing: bool = False) -> Passes:
    """The passes through ``unet`` by ``ops``, with ``checkpointing`` or not. Raises ``Unsupported``."""
    with torch.no_grad():
        return Passes(read(unet, ops), checkpointing)


def through(
    passes: Passes, unet: "UNet2DConditionModel", plain: Denoise, lost: Callable[[], None] = lambda: None
) -> Denoise:
    """Denoise by ``passes`` with the adapter that is on ``unet`` now, which becomes theirs; by ``plain`` what they
    can't do: other sizes, and all that follows once something failed, of which ``lost`` hears."""
    bind(passes, unet)
    grain = passes.network.grain
    fast: Denoise | None = _straight(passes, unet)
    del passes  # nor is it kept once it is lost

    def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        nonlocal fast
        if fast is None or any(side % grain for side in noisy.shape[2:]):
            return plain(noisy, timesteps, conditions)
        try:
            return fast(noisy, timesteps, conditions)
        except Exception as error:
            if ran_out_of_memory(error):
                raise
            _log.exception("the fast way failed; going on the plain one")
        fast = None
        lost()
        return plain(noisy, timesteps, conditions)

    return denoise


def _straight(passes: Passes, unet: "UNet2DConditionModel") -> Denoise:
    layers = _adapted(unet)

    def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        weights = passes.network.weights
        off = any(layer.disable_adapters for layer in layers)
        weights.scale.fill_(0.0 if off else weights.scaling)
        return of_autograd(passes, (noisy, timesteps, *conditions.tensors()), [] if off else weights.parameters)

    return denoise


@torch.no_grad()
def bind(passes: Passes, unet: "UNet2DConditionModel") -> None:
    """Let the adapter on ``unet`` have its parameters where ``passes`` look for them; its values stay."""
    weights = passes.network.weights
    present = dict(unet.named_parameters())
    weights.parameters = [present[name] for name in weights.names]
    for view, parameter in zip(weights.split(weights.values), weights.parameters, strict=True):
        if view.data_ptr() != parameter.data_ptr():
            view.copy_(parameter)
            parameter.data = view
    for layer in _adapted(unet)[:1]:
        (weights.scaling,) = layer.scaling.values()


def prepare(unet: "UNet2DConditionModel", network: Network) -> Callable[[], None]:
    """Have the kernels for pictures of all sizes compiled at once: one by one, as they are needed, took a minute.

    What comes back waits for them. Which ones these are is found out on a shadow of ``unet``, so that nothing is
    computed and no memory is taken.
    """
    ops, grain, said = network.ops, network.grain, unet.config["sample_size"]
    side = said if isinstance(said, int) else _SIDE
    usual = ((side, side), (side - grain, side + grain))  # of even tokens, and of those that leave a rest
    shapes = {shape for size in usual for shape in network.attentions(*size, _TOKENS)} if roomy(device_of(unet)) else ()
    built = build(shapes, network.first.weight)

    def there_and_back() -> None:
        shadow = _shadow(unet)
        shape = lay_out(shadow, ops).network
        for height, width in (*_SMALL, (side, side + side // 8)):
            noisy, timesteps, conditions = _some_inputs(shadow, 1, height, width)
            _, learn = shape.forward(noisy, timesteps, conditions, again=True)  # asks for all that a pass does
            learn(noisy)

    compiled: Callable[[], None] | None = None
    with _late():
        compiled = ops.prepare(there_and_back)

    def ready() -> None:
        with _late():
            if compiled is not None:
                compiled()
        built()

    return ready


@contextmanager
def _late() -> Iterator[None]:
    try:
        yield
    except Exception:  # a compiler at odds with this, say: then each is compiled when it is needed
        _log.exception("kernels could not be compiled ahead")


def _shadow(unet: "UNet2DConditionModel") -> "UNet2DConditionModel":
    """``unet`` and its adapter without any values."""
    shapes: dict[int, object] = {}
    for parameter in unet.parameters():
        shape = torch.empty_like(parameter, device="meta")
        shapes[id(parameter)] = torch.nn.Parameter(shape, requires_grad=parameter.requires_grad)
    for buffer in unet.buffers():
        shapes[id(buffer)] = torch.empty_like(buffer, device="meta")
    return deepcopy(unet, shapes)


def _some_inputs(
    unet: "UNet2DConditionModel", batch: int, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor, Conditions]:
    """A ``batch`` of random latents of ``height`` x ``width``, with timesteps and conditions; the same each time."""
    config: Any = unet.config
    device = device_of(unet)
    chance = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=chance).to(device)

    conditions = [some(batch, _TOKENS, config.cross_attention_dim)]
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        conditions += [some(batch, pooled), torch.full((batch, 6), 512.0, device=device)]
    noisy = some(batch, config.in_channels, height, width)
    return noisy, torch.linspace(100, 700, batch, device=device).long(), Conditions(*conditions)


def agrees(
    unet: "UNet2DConditionModel", passes: Passes, plain: Denoise, ready: Callable[[], None] = lambda: None
) -> bool:
    """Whether ``passes`` predict and learn what ``plain`` does from random inputs and adapter, within bfloat16.

    ``ready`` waits until ``passes`` can be used. Nothing is recorded for it: each recording is compared with what it
    was recorded from.
    """
    config: Any = unet.config
    grain = 2 ** (len(config.block_out_channels) - 1)
    noisy, timesteps, conditions = _some_inputs(unet, 2, 4 * grain, 6 * grain)
    chance = torch.Generator().manual_seed(1)

    def like(tensor: torch.Tensor) -> torch.Tensor:
        return torch.randn(tensor.shape, generator=chance).to(tensor.device)

    names, parameters = zip(
        *((name, each) for name, each in unet.named_parameters() if each.requires_grad), strict=True
    )
    before = [parameter.detach().clone() for parameter in parameters]
    gradient = like(noisy)
    try:
        with torch.no_grad():
            for parameter in parameters:
                parameter.copy_(0.02 * like(parameter))
        try:
            with sdpa_kernel(_BUILT):
                expected = plain(noisy, timesteps, conditions)
                wanted = dict(zip(names, torch.autograd.grad(expected, parameters, gradient), strict=True))
        finally:
            ready()
        weights = passes.network.weights
        weights.scale.fill_(weights.scaling)
        # What is computed again goes through all that is kept otherwise, and weights folded a few at a time through
        # the same kernel as all at once.
        predicted, learn = passes.network.forward(noisy, timesteps, conditions, again=True)
        learn(gradient)
        learnt = dict(zip(weights.names, weights.split(weights.gradients), strict=True))
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
    expected = expected.detach()
    apart = float(torch.linalg.vector_norm(predicted.float() - expected) / torch.linalg.vector_norm(expected))
    alike = min(
        float(functional.cosine_similarity(learnt[name].flatten(), theirs.flatten(), dim=0))
        for name, theirs in wanted.items()
    )
    _log.info("fast and plain: predictions %.1e apart, gradients' least cosine %.5f", apart, alike)
    return apart <= _PREDICTS and alike >= _LEARNS


def _adapted(unet: "UNet2DConditionModel") -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [module for module in unet.modules() if isinstance(module, LoraLayer)]


def kind_of(unet: "UNet2DConditionModel") -> Kind:
    """The kind of adapter that is on ``unet``; milliseconds, since all modules are looked at."""
    return tuple((name, parameter.shape) for name, parameter in unet.named_parameters() if parameter.requires_grad)
