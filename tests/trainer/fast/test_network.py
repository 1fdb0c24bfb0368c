"""The network by hand predicts and learns what diffusers and peft do, whatever goes in; and keeps nothing of a job."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from peft.tuners.lora import LoraLayer
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from lorabot.presets import Family
from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser, plain
from lorabot.trainer.fast import Unsupported, attention, transforming
from lorabot.trainer.fast.attention import Attended, AttendedItself, Shape, attend, attend_itself, build
from lorabot.trainer.fast.entrance import agrees, bind, lay_out, through
from lorabot.trainer.fast.passes import Passes
from lorabot.trainer.fast.reference import Reference
from tests.trainer import small_bases
from tests.trainer.conftest import tiny_recipe
from tests.trainer.memory.simulated_card import SimulatedCard

Given = tuple[torch.Tensor, torch.Tensor, Conditions]


@contextmanager
def with_adapter(unet: Any, seed: int = 2, **recipe: Any) -> Iterator[list[torch.nn.Parameter]]:
    """``unet`` with an adapter that does something, in double precision if that is the network's."""
    modules = {"unet": unet}
    dtype = torch.promote_types(unet.conv_in.weight.dtype, torch.float32)
    with adapter.attached(modules, tiny_recipe(**{"layers": "attention", **recipe}), 1):
        chance = torch.Generator().manual_seed(seed)
        for _, parameter in adapter.parameters(modules):
            parameter.data = parameter.data.to(dtype).normal_(std=0.1, generator=chance)
        yield [parameter for _, parameter in adapter.parameters(modules)]


def given(unet: UNet2DConditionModel, batch: int, height: int, width: int, tokens: int = 77) -> Given:
    network: Any = unet
    config = network.config
    chance = torch.Generator().manual_seed(batch + height)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=chance).to(network.conv_in.weight.dtype)

    conditions = [some(batch, tokens, config.cross_attention_dim)]
    if config.addition_embed_type:
        conditions += [some(batch, small_bases.POOLED_WIDTH), 500 + 100 * some(batch, 6)]
    timesteps = torch.randint(1000, (batch,), generator=chance)
    return some(batch, 4, height, width), timesteps, Conditions(*conditions)


def directly(unet: UNet2DConditionModel) -> Denoiser:
    """Through diffusers and peft in the network's own type, be it double."""
    network: Any = unet

    def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        out: torch.Tensor = network(
            noisy, timesteps, conditions.states, added_cond_kwargs=conditions.added(), return_dict=False
        )[0]
        return out

    return denoise


def apart(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(mine - theirs) / torch.linalg.vector_norm(theirs))


def compare(
    unet: UNet2DConditionModel,
    parameters: list[torch.nn.Parameter],
    passes: Passes,
    inputs: Given,
    again: bool = False,
) -> float:
    """How far apart predictions and gradients are at most, those by the texts among them."""
    texts = [each.requires_grad_() for each in (inputs[2].states, inputs[2].pooled) if each is not None]
    expected = directly(unet)(*inputs)
    gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(expected.dtype)
    wanted = torch.autograd.grad(expected, [*parameters, *texts], gradient)
    predicted, learn = passes.network.forward(*inputs, again)
    heard = learn(gradient)
    weights = passes.network.weights
    by_name = dict(zip(weights.names, weights.split(weights.gradients), strict=True))
    names = [name for name, parameter in unet.named_parameters() if parameter.requires_grad]
    found = [*(by_name[name] for name in names), *heard]
    for mine, theirs in zip(found, wanted, strict=True):
        assert functional.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.99999
    return max(apart(predicted, expected), *map(apart, found, wanted))


@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        ("sd15", {"layers": "attention", "rank": 3, "alpha": 6.0}),
        ("sd21", {"layers": "linear", "rank": 8, "rank_stabilised": True}),
        ("sdxl", {"layers": "attention"}),
    ],
)
def test_every_family_predicts_and_learns_as_by_diffusers_and_peft(family: Family, recipe: dict[str, Any]) -> None:
    """In double precision, so that nothing but a mistake could make a difference."""
    unet: Any = small_bases.make(family).unet.double()
    with with_adapter(unet, **recipe) as parameters:
        passes = lay_out(unet, Reference())
        for inputs in (given(unet, 3, 4, 6), given(unet, 1, 10, 2, tokens=154)):
            assert compare(unet, parameters, passes, inputs) < 1e-12


def test_the_published_layout_of_four_levels_is_gone_through_whole() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: Any = UNet2DConditionModel(block_out_channels=(32, 32, 64, 64), cross_attention_dim=32)
    unet = made.requires_grad_(False).eval()
    with with_adapter(unet) as parameters:
        assert compare(unet, parameters, lay_out(unet, Reference()), given(unet, 2, 16, 8)) < 1e-4


def test_gradients_add_up_over_the_parts_of_a_batch_and_another_pass_in_between_is_refused() -> None:
    unet = small_bases.make("sd15").unet
    with with_adapter(unet) as parameters:
        wanted = torch.autograd.grad(plain(unet, "fp32")(*given(unet, 3, 4, 4)).square().sum(), parameters)
        denoise = through(lay_out(unet, Reference()), unet, plain(unet, "fp32"))
        noisy, timesteps, conditions = given(unet, 3, 4, 4)
        for part in (slice(0, 2), slice(2, 3)):
            denoise(noisy[part], timesteps[part], conditions.take(part)).square().sum().backward()  # type: ignore[no-untyped-call]
        for parameter, theirs in zip(parameters, wanted, strict=True):
            assert parameter.grad is not None
            assert apart(parameter.grad, theirs) < 1e-4
        first = denoise(noisy, timesteps, conditions)
        with torch.no_grad():
            denoise(noisy, timesteps, conditions)
        with pytest.raises(RuntimeError, match="another pass"):
            first.sum().backward()  # type: ignore[no-untyped-call]


def test_the_adapter_counts_as_it_is_and_not_at_all_when_switched_off() -> None:
    unet = small_bases.make("sd15").unet
    with with_adapter(unet) as parameters, torch.no_grad():
        inputs, straight = given(unet, 2, 4, 4), plain(unet, "fp32")
        denoise = through(lay_out(unet, Reference()), unet, straight)
        for parameter in parameters:
            parameter.mul_(0.5)
        torch.testing.assert_close(denoise(*inputs), straight(*inputs), rtol=1e-4, atol=1e-5)
        with adapter.switched_off({"unet": unet}):
            torch.testing.assert_close(denoise(*inputs), straight(*inputs), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(denoise(*inputs), straight(*inputs), rtol=1e-4, atol=1e-5)


def test_the_next_job_has_nothing_of_the_last_ones_adapter() -> None:
    unet = small_bases.make("sdxl").unet
    with with_adapter(unet):
        passes = lay_out(unet, Reference())
        compare(unet, [p for p in unet.parameters() if p.requires_grad], passes, given(unet, 2, 4, 4))
    with torch.no_grad():
        base_alone = directly(unet)(*given(unet, 2, 4, 4))
    with with_adapter(unet, seed=9, alpha=1.0) as parameters:
        bind(passes, unet)
        passes.network.weights.scale.fill_(passes.network.weights.scaling)
        assert compare(unet, parameters, passes, given(unet, 2, 4, 4)) < 1e-4
        kept = passes.network.weights.split(passes.network.weights.values)
        assert {each.data_ptr() for each in kept} == {parameter.data_ptr() for parameter in parameters}
    with torch.no_grad():
        assert torch.equal(directly(unet)(*given(unet, 2, 4, 4)), base_alone)


def test_sizes_that_do_not_fit_the_levels_go_the_plain_way() -> None:
    unet = small_bases.make("sd15").unet
    with with_adapter(unet), torch.no_grad():
        inputs, straight = given(unet, 1, 5, 7), plain(unet, "fp32")
        assert torch.equal(through(lay_out(unet, Reference()), unet, straight)(*inputs), straight(*inputs))


@pytest.mark.parametrize(("why", "recipe"), [("layers", {"layers": "all"}), ("dora", {"dora": True})])
def test_what_the_fast_way_does_not_know_is_refused_by_name(why: str, recipe: dict[str, Any]) -> None:
    unet = small_bases.make("sd15").unet
    with with_adapter(unet, **recipe), pytest.raises(Unsupported) as refused:
        lay_out(unet, Reference())
    assert refused.value.why == why


def test_the_trial_finds_a_network_that_learns_something_else() -> None:
    unet = small_bases.make("sd21").unet
    with with_adapter(unet) as parameters:
        before = [parameter.detach().clone() for parameter in parameters]
        passes = lay_out(unet, Reference())
        assert agrees(unet, passes, plain(unet, "fp32"))
        assert all(map(torch.equal, parameters, before)), "the trial leaves the adapter as it was"
        network: Any = unet
        layer = network.down_blocks[0].attentions[0].transformer_blocks[0].ff.net[2]
        layer.weight.data = layer.weight.data * -1
        assert not agrees(unet, passes, plain(unet, "fp32"))


@pytest.mark.parametrize("family", ["sd15", "sd21", "sdxl"])
def test_what_is_computed_again_is_the_same_and_little_is_kept_for_it(family: Family) -> None:
    unet: Any = small_bases.make(family).unet.double()
    with with_adapter(unet, layers="linear") as parameters:
        passes = lay_out(unet, Reference(), checkpointing=True)
        inputs = given(unet, 2, 8, 8)
        assert compare(unet, parameters, passes, inputs, again=True) < 1e-12
        layers: list[Any] = [module for module in unet.modules() if isinstance(module, LoraLayer)]
        with SimulatedCard() as card:
            passes.checkpointing = False
            assert card.held() == sum(layer.base_layer.weight.nbytes for layer in layers), "with the adapter in them"
        assert compare(unet, parameters, passes, inputs, again=True) < 1e-12
        with card:
            passes.checkpointing = True
            card.empty()
            assert card.held() == 0, "made when they are needed, as before"
            card.budget = layers[0].base_layer.weight.nbytes * 3 // 2
            with pytest.raises(torch.OutOfMemoryError):
                passes.checkpointing = False
            card.empty()
            assert (passes.checkpointing, card.held()) == (True, 0), "all have their place or none"

        def kept(side: int, checkpointing: bool) -> int:
            with SimulatedCard() as card:
                made = passes.network.forward(*given(unet, 2, side, side), checkpointing)
                return card.held() - made[0].nbytes

        # What a pass has of the texts and the time is there however large the pictures are.
        growth = [kept(16, again) - kept(8, again) for again in (False, True)]
        assert growth[1] < growth[0] / 4


def test_what_attends_is_known_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hearing(Reference):
        def hears(self, keys: int, size: int) -> bool:
            return (keys, size) == (77, 8)

        def hear(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
            return (attend if self.hears(key.shape[2], query.shape[3]) else noted)(query, key, value)

    def noted(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
        _, heads, tokens, size = query.shape
        asked.add((heads, tokens, key.shape[2], size))
        return attend(query, key, value)

    def noted_itself(given: torch.Tensor) -> AttendedItself:
        _, tokens, _, heads, size = given.shape
        asked.add((heads, tokens, tokens, size))
        return attend_itself(given)

    asked: set[tuple[int, ...]] = set()
    monkeypatch.setattr(transforming, "attend_itself", noted_itself)
    for family in ("sd15", "sd21", "sdxl"):
        unet = small_bases.make(family).unet
        network = lay_out(unet, Hearing()).network
        for height, width in ((8, 8), (4, 12)):
            asked.clear()
            network.forward(*given(unet, 1, height, width))
            assert network.attentions(height, width, 77) == asked


class OnACard(torch.Tensor):
    """Says that it lies on a card."""

    device = torch.device("cuda")


@pytest.mark.parametrize(
    ("queries", "keys", "there", "taken"),
    [
        (1024, 77, "cudnn flash", attention._cudnn),
        (256, 256, "cudnn flash", attention._cudnn),
        (256, 77, "cudnn flash", attention._flash),
        (256, 77, "cudnn", attention._cudnn),
        (1024, 77, "flash efficient", attention._flash),
        (1024, 77, "efficient", attention._efficient),
        (1024, 77, "", attention._products),
    ],
)
def test_small_attentions_are_those_that_need_no_planning_where_there_are_any(
    queries: int, keys: int, there: str, taken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("cudnn", "flash", "efficient"):
        monkeypatch.setattr(torch.backends.cuda, f"can_use_{kind}_attention", lambda _, kind=kind: kind in there)
    query, key = (torch.zeros(1, 1, count, 8).as_subclass(OnACard) for count in (queries, keys))
    assert attention._way(query, key, key) is taken


def test_what_attends_is_built_once_and_what_cant_be_is_told_and_left_to_whoever_needs_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noted(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
        asked.append((query.shape[1], key.shape[2]))
        return way(query, key, value)(query, key, value)

    asked, way = list[tuple[int, int]](), attention._way
    monkeypatch.setattr(attention, "_way", lambda *_: noted)
    build([Shape(2, 6, 5, 4), Shape(2, 6, -1, 4)], torch.zeros(1))()
    (told,) = caplog.messages
    assert "could not be built ahead" in told
    assert asked == [(2, 5)]
    build([Shape(2, 6, 5, 4), Shape(3, 6, 6, 4)], torch.zeros(1))()
    assert asked == [(2, 5), (3, 6)]


def test_a_trial_waits_for_the_kernels_even_where_the_plain_way_breaks_off() -> None:
    def breaking(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    unet, waited = small_bases.make("sd15").unet, list[bool]()
    with with_adapter(unet):
        passes = lay_out(unet, Reference())
        with pytest.raises(torch.OutOfMemoryError):
            agrees(unet, passes, breaking, lambda: waited.append(True))
    assert waited


class _Breaking(Reference):
    """Runs out of memory midway on the first way back."""

    def __init__(self) -> None:
        self.left = 5

    def layer_norm_back(self, *given: Any) -> torch.Tensor:
        self.left -= 1
        if self.left == 0:
            raise torch.OutOfMemoryError
        return super().layer_norm_back(*given)


def test_a_way_back_that_was_broken_off_leaves_nothing_to_the_next() -> None:
    unet = small_bases.make("sd15").unet
    with with_adapter(unet):
        passes = lay_out(unet, _Breaking())
        with pytest.raises(torch.OutOfMemoryError):
            agrees(unet, passes, plain(unet, "fp32"))
        assert agrees(unet, passes, plain(unet, "fp32"))


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that reach a device; views reach none, nor does memory that is only taken."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view and "empty" not in str(func) and "_unsafe_view" not in str(func)
        return func(*args, **(kwargs or {}))


class _Launches(Reference):
    """The reference, counted as the kernels that the compiled primitives launch."""

    def __init__(self, counting: _Counting) -> None:
        norms = "add group_norm normalise normalise_back layer_norm layer_norm_back"
        for name in [*norms.split(), "geglu", "geglu_back", "interleave", "interleave_back", "fold"]:
            setattr(self, name, self._counted(getattr(self, name), name, counting))

    @staticmethod
    def _counted(work: Any, name: str, counting: _Counting) -> Any:
        def counted(*given: Any, **named: Any) -> Any:
            before = counting.count
            found = work(*given, **named)
            unknown = sum(stats is None for _, stats in given[0]) if name == "group_norm" else 0
            counting.count = before + {"group_norm": 2 + unknown, "normalise_back": 3}.get(name, 1)
            return found

        return counted


def test_a_step_takes_a_third_fewer_operations() -> None:
    """In bfloat16, as on a card, where the plain way casts on the way as well."""
    unet: Any = small_bases.make("sd15").unet.bfloat16()
    counts = []
    with with_adapter(unet) as parameters:
        straight, counting = plain(unet, "bf16"), _Counting()
        for denoise in (straight, through(lay_out(unet, _Launches(counting)), unet, straight)):
            counting.count = 0
            with counting:
                torch.autograd.grad(denoise(*given(unet, 2, 4, 4)).square().sum(), parameters)
            counts.append(counting.count)
    assert counts[1] < 0.65 * counts[0], counts
