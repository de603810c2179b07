"""Every rate of timm's models, driven and observed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import adaptive_dropout as ad
from tests.conversion.observed import Case, check_every_rate

pytestmark = pytest.mark.slow

timm = pytest.importorskip("timm")

SMALL: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"embed_dim": 24, "depth": 2, "num_heads": 3, "img_size": 32, "patch_drop_rate": 0.5},
    "convnext_atto": {"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 8)},
    "efficientnet_b0": {"drop_rate": 0.2},
    "resnet10t": {"drop_rate": 0.1, "drop_block_rate": 0.1, "zero_init_last": False},
}
ELSEWHERE = {
    "vit_tiny_patch16_224": ("patch_drop",),
    "resnet10t": ("layer3.0.drop_block", "layer4.0.drop_block"),  # a pixel near the border is lost less often
}
UNREACHABLE = {
    "convnext_atto": ("drop_rate",),
    "resnet10t": ("layer1.0.drop_path", "layer1.0.drop_block", "layer2.0.drop_block"),
}


def without_skip(model: torch.nn.Module) -> tuple[str, ...]:
    """The drop paths of blocks without a residual connection, which timm builds and never calls."""
    return tuple(f"{name}.drop_path" for name, block in model.named_modules() if not getattr(block, "has_skip", True))


def case(name: str) -> Case:
    model = timm.create_model(name, num_classes=8, drop_path_rate=0.2, **SMALL[name])
    x = torch.rand(16, 3, 32, 32)
    return Case(model, lambda m: m(x), ELSEWHERE.get(name, ()) + without_skip(model), UNREACHABLE.get(name, ()))


@pytest.mark.parametrize("name", SMALL)
def test_every_rate_is_driven_or_listed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_rate(case(name), monkeypatch)


def test_layers_that_are_not_called_on_an_example_are_out_of_reach() -> None:
    model = case("efficientnet_b0").model
    missed = ad.inventory(model, torch.rand(2, 3, 32, 32)).unreachable()
    assert tuple(row.name for row in missed) == without_skip(model) != ()
    assert {row.why for row in missed} == {"the model does not call it on this input"}


def test_patches_are_dropped_as_often_as_set() -> None:
    model = case("vit_tiny_patch16_224").model.train()
    ad.convert(model, where="patch_drop")
    ad.set_rates(model, {"patch_drop": 0.25})
    assert model.patch_drop(torch.rand(2, 1 + 100, 24)).shape[1] == 1 + 75  # the class token stays


def test_blocks_are_dropped_as_often_as_set_where_timm_s_are_not() -> None:
    model, x = case("resnet10t").model.train(), torch.ones(4000, 1, 7, 7)
    third, fourth = model.layer3[0].drop_block, model.layer4[0].drop_block
    theirs = (fourth(x) == 0).float().mean()
    ad.convert(model, where="*.drop_block")
    # timm gives the third stage a quarter of its p, for blocks of 5, and the fourth all of it, for blocks of 3.
    assert repr(model.layer3[0].drop_block) == "DropBlock2d(p=0.025, block_size=5, shared=True)"
    assert repr(model.layer4[0].drop_block) == "DropBlock2d(p=0.1, block_size=3, shared=True)"
    lost = (model.layer4[0].drop_block(x) == 0).float().flatten(1).mean(1)
    assert abs(lost.mean() - 0.1) < 5 * lost.std() / 4000**0.5
    assert theirs > 0.12
    assert (ad.revert(model).layer3[0].drop_block, model.layer4[0].drop_block) == (third, fourth)


def test_blocks_of_numbers_in_place_of_zeros_and_without_the_scale_stay_theirs() -> None:
    block = timm.layers.DropBlock2d
    model = torch.nn.Sequential(block(0.1, with_noise=True), block(0.1, scale_by_keep=False), block(0.1, 5))
    ad.convert(model)
    assert [type(layer) for layer in model] == [block, block, ad.DropBlock2d]
    assert list(ad.get_rates(model).values()) == [0.1] * 3


def test_the_identity_that_a_drop_path_of_0_leaves_is_a_rate_of_0() -> None:
    model = timm.create_model("vit_tiny_patch16_224", embed_dim=24, depth=2, num_heads=3, img_size=32)
    ad.convert(model, where="*drop_path*")
    assert ad.get_rates(model) == {f"blocks.{block}.drop_path{part}": 0.0 for block in (0, 1) for part in (1, 2)}


def test_a_drop_path_that_does_not_rescale_keeps_its_forward() -> None:
    model = torch.nn.Sequential(timm.layers.DropPath(0.1, scale_by_keep=False), timm.layers.DropPath(0.1))
    ad.convert(model)
    assert [type(layer) for layer in model] == [timm.layers.DropPath, ad.DropPath]
    ad.set_rates(model, {"0": 0.5})
    assert model[0].drop_prob == 0.5


@pytest.mark.slow
def test_all_of_a_vision_transformer_but_attention_is_one_graph_over_twenty_rate_changes() -> None:
    graphs: list[Any] = []
    model = timm.create_model("vit_tiny_patch16_224", embed_dim=24, depth=1, num_heads=3, img_size=32)
    ad.convert(model, where=lambda name: not name.endswith("attn_drop"))
    x = torch.rand(2, 3, 32, 32)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(20):
        ad.set_rates(model, dict.fromkeys(ad.get_rates(model), step / 40))
        compiled(x)
    assert len(graphs) == 1


def test_a_converted_drop_path_takes_what_others_write_to_it() -> None:
    model = timm.create_model("convnext_atto", drop_path_rate=0.2, **SMALL["convnext_atto"])
    ad.convert(model, where="*drop_path*")
    paths = [module for module in model.modules() if isinstance(module, ad.DropPath)]
    assert [path.drop_prob for path in paths] == [path.p for path in paths]
    for path in paths:
        path.drop_prob = 0
    assert set(ad.get_rates(model).values()) == {0.0}
