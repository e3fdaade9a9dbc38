"""Published arrays of scores: the order of matrices is named, never guessed."""

import io
from decimal import Decimal

import numpy as np
import pytest

from allocator.errors import AllocatorError, InvalidRequest, PlanMismatch, UnreadablePlan
from allocator.imports import import_plan
from tests.allocator.forms.plans import outline_of
from tests.golden import llama2_block_means, llama2_scores

LARGEST_REMAINDER = (
    1, 3, 4, 4, 4, 4, 3, 3, 3, 3, 3, 2, 3, 3, 3, 4, 5, 5, 7, 6, 8, 8, 8, 7, 8, 7, 6, 8, 7, 7, 8, 5,
)  # fmt: skip
"""AlphaLoRA's shares of 160 experts at beta 2.5, rounded by largest remainders on paper."""


def npy(values, **how) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(values), **how)
    return out.getvalue()


@pytest.mark.parametrize("shape", [(-1,), (32, 7)])
def test_llama_2(shape):
    raw = npy(np.reshape(llama2_scores(), shape))
    made = import_plan(raw, order="alphapruning", budget=160)
    assert made.counts == LARGEST_REMAINDER
    assert [layer.alpha for layer in made.layers] == pytest.approx(llama2_block_means(), abs=1e-8)
    assert (made.method, made.values, made.model) == ("alphalora", "score", None)
    assert [module.name for module in made.layers[0].modules] == [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj",
    ]  # fmt: skip


def test_every_module_has_its_own_value():
    values = llama2_scores()
    made = import_plan(npy(values), order="alphapruning", budget=160, per_module=True, beta=1)
    assert sum(made.counts) == 160 * 7
    modules = {(la.layer, m.name): m for la in made.layers for m in la.modules}
    assert modules[3, "mlp.down_proj"].alpha == values[3 * 7 + 5]
    assert modules[3, "mlp.up_proj"].alpha == values[3 * 7 + 6]
    total = sum(map(Decimal, values))
    for at, module in enumerate(modules.values()):
        assert module.share == pytest.approx(float(Decimal(values[at]) * 1120 / total), abs=0.7)
    farms = import_plan(npy(values), order="farms", budget=160, per_module=True, beta=1)
    assert farms.counts == made.counts
    modules = {(la.layer, m.name): m for la in farms.layers for m in la.modules}
    assert modules[3, "mlp.up_proj"].alpha == values[3 * 7 + 5]


def test_only_some_modules():
    values = llama2_scores()
    made = import_plan(npy(values), order="alphapruning", budget=160, modules="down_proj,q_proj")
    assert [layer.alpha for layer in made.layers] == pytest.approx(
        [(values[7 * at] + values[7 * at + 5]) / 2 for at in range(32)]
    )
    with pytest.raises(InvalidRequest, match="wi is not among the scores"):
        import_plan(npy(values), order="alphapruning", budget=160, modules="wi")


def test_orders_of_ones_own():
    made = import_plan(npy([1, 2, 3, 5.0]), order="attn.c_attn,mlp.c_fc", budget=6)
    assert [layer.alpha for layer in made.layers] == [1.5, 4.0]
    made = import_plan(npy([1, 2, 3, 5.0]), order="layer", budget=6)
    assert len(made.layers) == 4
    assert import_plan("[1.5, 3]", "scores", budget=6).counts == (1, 5)


def test_with_the_model():
    values = [1, 1, 1, 1, 1, 2, 1] + [3] * 7
    words = {"order": "alphapruning", "budget": 6, "model": outline_of("llama")}
    made = import_plan(npy(values), **words)
    assert made.trainable_parameters > 0
    per_module = import_plan(npy(values), per_module=True, **words)
    alphas = {m.name: m.alpha for m in per_module.layers[0].modules}
    assert alphas == {name: 2.0 if name == "mlp.down_proj" else 1.0 for name in alphas}
    with pytest.raises(PlanMismatch, match="3 layers, but the model has 2"):
        import_plan(npy([*values, *values[:7]]), **words)
    with pytest.raises(PlanMismatch, match=r"no module self_attn.q_proj"):
        import_plan(npy(values), **{**words, "model": outline_of("phi3")})


@pytest.mark.parametrize(
    ("values", "words", "message"),
    [
        ([1.0, 2.0], {}, "give --order alphapruning, farms, layer"),
        ([1.0] * 8, {"order": "farms"}, "8 scores are no whole number of layers of 7"),
        ([1.0, 0.0], {"order": "layer"}, "score 1 is 0.0"),
        ([1.0, float("nan")], {"order": "layer"}, "score 1 is nan"),
        ([1.0, float("inf")], {"order": "layer"}, "score 1 is inf"),
        ([1.0, 2.0], {"order": "sideways"}, "order sideways is unknown"),
        ([1.0, 2.0], {"order": "layer", "per_module": True}, "say nothing of"),
        ([1.0, 2.0], {"order": "layer", "layers": 3}, "--layers is 3"),
        ([], {"order": "layer"}, "no array of numbers"),
        ([True, False], {"order": "layer"}, "holds bool"),
        ([1j], {"order": "layer"}, "holds complex"),
        (["a"], {"order": "layer"}, "holds <U1"),
    ],
)
def test_arrays_that_are_refused(values, words, message):
    with pytest.raises(AllocatorError, match=message):
        import_plan(npy(values), budget=6, **words)


def test_pickles_are_not_loaded(tmp_path):
    class Boom:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    raw = npy(np.array([Boom()], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadablePlan, match="no array of numbers"):
        import_plan(raw, order="layer", budget=6)
    assert not (tmp_path / "ran").exists()


def test_an_array_that_claims_more_than_it_holds():
    raw = npy([1.0, 2.0])
    for claim in (b"(3,), ", b"(9999999999,)", b"(2, -1)"):
        lying = raw.replace(b"(2,), }" + b" " * len(claim), claim + b", }  " + b"  ", 1)
        assert lying != raw
        with pytest.raises(UnreadablePlan, match="no array of numbers"):
            import_plan(lying, order="layer", budget=6)
    with pytest.raises(UnreadablePlan, match="no array of numbers"):
        import_plan(raw[:-1], order="layer", budget=6)
