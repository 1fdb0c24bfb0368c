"""The one entrance to a UNet with its adapter: the fast way on a card, lanes on a CPU, else diffusers and peft."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.nn import functional

from lorabot.locale import Message
from lorabot.presets import Recipe
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.fast import Traced, Unsupported, Warm, Why, enter
from lorabot.trainer.memory import ran_out_of_memory
from lorabot.trainer.offloading import device_of
from lorabot.trainer.planning import Precision

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


T = TypeVar("T")
_MOST_TRACED = 48
"""Shapes whose forward passes on a CPU are kept; the one that was not used for longest makes room."""
Denoiser = Callable[[torch.Tensor, torch.Tensor, Conditions], torch.Tensor]
"""Noisy latents (B, C, H, W), timesteps int64 (B) and conditions to what the base predicts (noise or v), float32.

It can be differentiated by the adapter's parameters and by the conditions, and shows the parameters as they are at the
moment of the call.
"""


IN_WANT = Message("plan-plain-memory")
"""Said of a way that is plain for lack of room."""
LOST = Message("plan-plain-lost")
"""Said of a way that was fast and no longer is."""


def why_plain(recipe: Recipe) -> Why | None:
    """What of ``recipe`` no other way than the plain one can do, if anything.

    ``dropout`` drops a LoRA's inputs, and folded into weights it has none.
    """
    return "dropout" if recipe.dropout > 0 else None


@contextmanager
def denoiser(
    unet: "UNet2DConditionModel",
    precision: Precision,
    checkpointing: bool = False,
    plainly: Why | None = None,
    card: bool = False,
    warm: Warm | None = None,
    offloading: bool = False,
    say: Callable[[Message], None] = lambda _: None,
) -> Iterator[Denoiser]:
    """The fastest way through ``unet`` and the adapter on it. On a CPU the lanes have torch's threads for the block.

    With ``checkpointing`` each block's activations are computed again for the backward pass instead of being kept.
    ``plainly``: why the way must be plain, as ``why_plain`` says. ``card``: whether a card calculates, whatever torch
    calls it. ``warm`` keeps what can be used again. With ``offloading`` weights come over one by one, and only the
    plain way waits for it. Which way it is on a card and why is what ``say`` gets, and later, should the fast one fail,
    that it is another from then on.
    """
    device = device_of(unet)
    if device.type == "cuda" or (warm is not None and warm.ops is not None):
        why: Why | None = "offloading" if offloading else plainly
        with _on_card(unet, precision, checkpointing, why, warm or Warm(), say) as denoise:
            yield denoise
        return
    if checkpointing:
        with _checkpointing(unet):
            yield plain(unet, precision)
        return
    # torch.jit.trace, which the lanes need, is not supported from Python 3.14 on.
    if card or device.type != "cpu" or plainly is not None or sys.version_info >= (3, 14):
        yield plain(unet, precision)
        return
    threads = torch.get_num_threads()
    lanes = _Lanes(unet, threads, (warm or Warm()).traced)
    torch.set_num_threads(1)  # what a step does beside the lanes is too small to share
    _taken.append(threads)
    try:
        yield lanes
    finally:
        _taken.pop()
        torch.set_num_threads(threads)
        lanes.close()


_taken: list[int] = []
"""torch's threads, for each block in which lanes have them."""


@contextmanager
def all_threads() -> Iterator[None]:
    """For the block, torch has its threads back from the lanes that have them now, none of which is at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(before, *_taken) if _taken else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _on_card(
    unet: "UNet2DConditionModel",
    precision: Precision,
    checkpointing: bool,
    why: Why | None,
    warm: Warm,
    say: Callable[[Message], None],
) -> Iterator[Denoiser]:
    with _checkpointing(unet) if checkpointing else nullcontext():  # for what only the plain way can do, too
        denoise = plain(unet, precision)
        found = why or _fast(unet, denoise, warm, checkpointing, lambda: say(LOST))
        if isinstance(found, str):
            if checkpointing:
                warm.let_go()  # nothing of it is used, and memory is short
            say(Message(f"plan-plain-{found}"))
            yield denoise
        else:
            say(Message("plan-fast"))
            yield found


def _fast(
    unet: "UNet2DConditionModel", plain: Denoiser, warm: Warm, checkpointing: bool, lost: Callable[[], None]
) -> Denoiser | Why:
    """The fast way, or why not. With ``checkpointing`` memory is short: then it is no error if it finds no room."""
    try:
        return enter(unet, plain, warm, checkpointing, lost)
    except Unsupported as error:
        return error.why
    except Exception as error:
        if not (checkpointing and ran_out_of_memory(error)):
            raise
    return "memory"


@contextmanager
def _checkpointing(unet: "UNet2DConditionModel") -> Iterator[None]:
    unet.enable_gradient_checkpointing()
    try:
        yield
    finally:
        unet.disable_gradient_checkpointing()


def plain(unet: "UNet2DConditionModel", precision: Precision) -> Denoiser:
    """Straight through diffusers' and peft's modules: what every other way is measured by."""

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        with torch.autocast(noisy.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            predicted = _through(unet, noisy.to(unet.dtype), timesteps, conditions)
        return predicted.float()

    return predict


def _through(
    unet: "UNet2DConditionModel", noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions
) -> torch.Tensor:
    predicted: torch.Tensor = unet(
        noisy, timesteps, conditions.states, added_cond_kwargs=conditions.added(), return_dict=False
    )[0]
    return predicted


class _Lanes:
    """On a CPU: a lane for each core, which takes its part of the batch through the whole network.

    Small networks spend their time on a CPU between the operators rather than in them. Measured at four latents of
    16 x 16 on two cores (benchmarks/cpu_step.py): waking a second thread for each of 3,000 operators gains nothing, a
    thread of its own for each half of the batch does. The adapter goes in as W + BA, which spares six thin products a
    layer. The forward pass is recorded once a shape, since in Python the lanes would wait for each other's interpreter;
    what was ``recorded`` serves every later adapter on the same layers.
    """

    def __init__(self, unet: "UNet2DConditionModel", threads: int, recorded: Traced) -> None:
        from peft.tuners.lora import Conv2d, Linear

        adapted = [(name, module) for name, module in unet.named_modules() if isinstance(module, Linear | Conv2d)]
        self._unet = unet
        self._threads = threads
        self._layers: list[Any] = [module for _, module in adapted]
        self._names = tuple(name for name, _ in adapted)
        self._recorded = recorded
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lane")

    def close(self) -> None:
        self._pool.shutdown()

    def __call__(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        given = (noisy, timesteps, *conditions.tensors())
        weights = [_folded(layer) for layer in self._layers]
        if not torch.is_grad_enabled():  # a function's context says what requires gradients, even where none are wanted
            given, weights = tuple(tensor.detach() for tensor in given), [weight.detach() for weight in weights]
        predicted: torch.Tensor = _InLanes.apply(self, len(given), *given, *weights)
        return predicted

    def spread(self, work: Callable[..., T], *parts: Sequence[Any]) -> list[T]:
        """``work`` over the members of ``parts``, each in a lane; the lanes share the threads."""
        each = max(1, self._threads // len(parts[0]))

        def lane(*part: Any) -> T:
            torch.set_num_threads(each)  # of this thread alone
            return work(*part)

        return list(self._pool.map(lane, *parts))

    def split(self, *tensors: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
        """The tensors' parts, as many as there are lanes at work."""
        return [tensor.tensor_split(min(self._threads, len(tensor))) for tensor in tensors]

    def recorded(self, *given: torch.Tensor) -> Callable[..., torch.Tensor]:
        """The forward pass for latents, timesteps and conditions of these shapes, as a function of them and weights."""
        key = (self._names, *(tensor.shape for tensor in given))
        if key not in self._recorded:
            while len(self._recorded) >= _MOST_TRACED:
                self._recorded.popitem(last=False)
            with warnings.catch_warnings(), torch.no_grad():
                # One says that a trace holds for one shape, the other names torch.compile, which wants a compiler.
                warnings.simplefilter("ignore")
                weights = [layer.base_layer.weight for layer in self._layers]
                self._recorded[key] = _traced(self._forward, (*given, *weights))
        self._recorded.move_to_end(key)
        return self._recorded[key]

    def _forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        weights_from = len(others) - len(self._layers)
        conditions, weights = others[:weights_from], others[weights_from:]
        with ExitStack() as stack:
            for layer, weight in zip(self._layers, weights, strict=True):
                layer.forward = _with_weight(layer.base_layer, weight)
                stack.callback(delattr, layer, "forward")
            return _through(self._unet, noisy, timesteps, Conditions(*conditions))


def _traced(function: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...]) -> Callable[..., torch.Tensor]:
    """What ``torch.jit.trace`` makes of ``function``, but gone when nobody has it any more.

    Its own traces stay in a registry for as long as the process lives, with the weights that they know: 13 MB for each
    shape of a small network.
    """
    from torch.jit._trace import _create_interpreter_name_lookup_fn

    native: Any = torch._C
    names_of: Any = _create_interpreter_name_lookup_fn
    names = [f"input_{number}" for number in range(len(inputs))]
    graph, _ = native._create_graph_by_tracing(function, inputs, names_of(), True, False, None, names)
    traced: Callable[..., torch.Tensor] = native.CompilationUnit().create_function("forward", graph)
    return traced


class _InLanes(torch.autograd.Function):
    """Forward and backward through the network by its lanes.

    Gradients are those of the folded weights and, where the text encoder learns too, of the conditions.
    """

    @staticmethod
    def forward(ctx: Any, lanes: _Lanes, count: int, *tensors: torch.Tensor) -> torch.Tensor:
        """``tensors``: ``count`` of them have an item for each latent, the rest are the weights."""
        given, weights = tensors[:count], tensors[count:]
        needed = ctx.needs_input_grad[2 : 2 + count]
        wanted = any(ctx.needs_input_grad)
        leaves = [weight.detach().requires_grad_(wanted) for weight in weights]
        parts = [
            tuple(tensor.detach().requires_grad_(need) for tensor, need in zip(part, needed, strict=True))
            for part in zip(*lanes.split(*given), strict=True)
        ]
        passes = [lanes.recorded(*part) for part in parts]

        def forward(through: Callable[..., torch.Tensor], part: tuple[torch.Tensor, ...]) -> torch.Tensor:
            # Not optimised: that would run everything twice to profile it, for nothing that pays here.
            with torch.set_grad_enabled(wanted), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                return through(*part, *leaves)

        ctx.lanes, ctx.count, ctx.needed = lanes, count, needed
        ctx.leaves, ctx.predicted = leaves, lanes.spread(forward, passes, parts)
        ctx.heard = [[tensor for tensor in part if tensor.requires_grad] for part in parts]
        return torch.cat([part.detach() for part in ctx.predicted])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        def backward(
            predicted: torch.Tensor, part: torch.Tensor, heard: list[torch.Tensor]
        ) -> tuple[torch.Tensor, ...]:
            found: tuple[torch.Tensor, ...] = torch.autograd.grad(predicted, [*heard, *ctx.leaves], part)
            return found

        (parts,) = ctx.lanes.split(gradient)
        found = list(zip(*ctx.lanes.spread(backward, ctx.predicted, parts, ctx.heard), strict=True))
        of_items = iter(found[: sum(ctx.needed)])
        # Always in the same order, or the last digits would differ from run to run.
        of_weights = (reduce(torch.add, each) for each in found[sum(ctx.needed) :])
        return (None, None, *(torch.cat(next(of_items)) if need else None for need in ctx.needed), *of_weights)


def _folded(layer: Any) -> torch.Tensor:
    """The weight of a layer with its adapter: W + BA, scaled; W alone where the adapter is switched off.

    A convolution's adapter is one of its own size to few channels and one of 1 x 1 back: a product of matrices too.
    DoRA gives each output's weights the length that is learnt; their own counts as constant (arXiv 2402.09353, 4.3).
    """
    weight: torch.Tensor = layer.base_layer.weight
    if layer.disable_adapters:
        return weight
    for name in layer.active_adapters:
        up, down = layer.lora_B[name].weight.flatten(1), layer.lora_A[name].weight.flatten(1)
        flat = torch.addmm(weight.flatten(1), up, down, alpha=layer.scaling[name])
        if name in layer.lora_magnitude_vector:
            lengths = layer.lora_magnitude_vector[name].weight.view(-1, 1)
            flat = flat * (lengths / torch.linalg.vector_norm(flat.detach(), dim=1, keepdim=True))
        weight = flat.view(weight.shape)
    return weight


def _with_weight(layer: torch.nn.Module, weight: torch.Tensor) -> Callable[..., torch.Tensor]:
    """What ``layer``, linear or a convolution, does, with another weight."""
    if isinstance(layer, torch.nn.Conv2d):
        bias, stride, padding = layer.bias, layer.stride, layer.padding
        return lambda given, *_: functional.conv2d(given, weight, bias, stride, padding)
    assert isinstance(layer, torch.nn.Linear)
    offset = layer.bias
    return lambda given, *_: functional.linear(given, weight, offset)
