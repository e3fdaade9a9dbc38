"""Plans from real spectra, outlines and scores: budgets, documents, digest, stability."""

import hashlib
import json

import pytest

from allocator.curve import budget_curve
from allocator.errors import InfeasibleBudget, InvalidRequest, UnreadablePlan
from allocator.planner import plan
from allocator.read import read_plan
from analyzer.api import analyze, outline
from analyzer.errors import BadModel, InvalidOption
from tests.families import save_family

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def precise(minilm, tmp_path_factory):
    return analyze(minilm, cache=tmp_path_factory.mktemp("cache"), estimator="peak")


def test_minilm(analysis):
    made = plan(analysis, budget=30)
    assert made.counts == (5, 5, 5, 4, 5, 6)
    assert [layer.top_k for layer in made.layers] == [2] * 6
    assert made.weights == (MINILM_SHA256,)
    assert made.budget.experts == made.budget.allocated == 30
    assert sum(layer.share for layer in made.layers) == pytest.approx(30)
    assert {module.name for module in made.layers[0].modules} == {
        "attention.output.dense", "attention.self.key", "attention.self.query",
        "attention.self.value", "intermediate.dense", "output.dense",
    }  # fmt: skip


def test_trainable_parameters_are_those_of_the_formula(analysis):
    """Σ experts · [r (in + out) + in]: four 384², one 1536×384 and one 384×1536, r = 8."""
    per_expert = 4 * (8 * 768 + 384) + (8 * 1920 + 384) + (8 * 1920 + 1536)
    assert plan(analysis, budget=30).trainable_parameters == 30 * per_expert
    without_routers = 4 * 8 * 768 + 2 * 8 * 1920
    assert plan(analysis, budget=6).trainable_parameters == 6 * without_routers


def test_one_expert_has_no_router_and_top_k_1(analysis):
    made = plan(analysis, budget=7)
    assert sorted(made.counts) == [1, 1, 1, 1, 1, 2]
    for layer in made.layers:
        assert layer.top_k == layer.experts
        assert all(module.top_k == layer.experts for module in layer.modules)


def test_budget_as_mean(analysis):
    assert plan(analysis, budget=5, budget_kind="mean").counts == plan(analysis, budget=30).counts
    assert plan(analysis, budget=2.5, budget_kind="mean").budget.experts == 15
    with pytest.raises(InvalidRequest, match=r"comes to 14\.4 experts.*14 or 15"):
        plan(analysis, budget=2.4, budget_kind="mean")


@pytest.mark.parametrize("per_module", [False, True])
@pytest.mark.parametrize("budget", [340_000, 523_456, 1_762_560, 1_762_559, 3_000_000])
def test_budget_as_parameters_is_the_largest_that_fits(analysis, budget, per_module):
    made = plan(analysis, budget=budget, budget_kind="parameters", per_module=per_module)
    assert made.trainable_parameters <= budget
    for more in range(1, 8):
        larger = plan(analysis, budget=made.budget.experts + more, per_module=per_module)
        assert larger.trainable_parameters > budget
    assert made.budget.requested == budget


def test_parameters_that_are_too_few(analysis):
    with pytest.raises(InfeasibleBudget, match=r"smallest plan \(6 experts\) has 331776"):
        plan(analysis, budget=331_775, budget_kind="parameters")
    assert plan(analysis, budget=331_776, budget_kind="parameters").counts == (1,) * 6


def test_per_module(analysis):
    made = plan(analysis, budget=30, per_module=True)
    modules = [module for layer in made.layers for module in layer.modules]
    assert made.budget.allocated == sum(made.counts) == 30 * 6
    ranked = sorted((module.alpha, module.experts) for module in modules)
    assert [count for _, count in ranked] == sorted(module.experts for module in modules)
    assert all(layer.experts is None and layer.share is None for layer in made.layers)
    fits = {(m.layer, m.module): m.fits["hill"].alpha for m in analysis.matrices}
    for layer in made.layers:
        for module in layer.modules:
            assert module.alpha == pytest.approx(fits[layer.layer, module.name])


def test_a_budget_below_the_layers_is_said_in_layers_also_per_module(analysis):
    with pytest.raises(InfeasibleBudget, match="5 experts cannot be divided over 6 layers"):
        plan(analysis, budget=5, per_module=True)
    assert set(plan(analysis, budget=6, per_module=True).counts) == {1}


def test_a_fused_module_counts_once_with_the_mean_of_its_parts(tmp_path):
    save_family("phi3", tmp_path)
    found = analyze(tmp_path)
    layer = plan(found, budget=6, per_module=True).layers[0]
    fused = next(module for module in layer.modules if module.name == "self_attn.qkv_proj")
    parts = [m.fits["hill"].alpha for m in found.matrices
             if m.layer == 0 and m.module == fused.name]  # fmt: skip
    assert len(parts) == 3
    assert fused.alpha == pytest.approx(sum(parts) / 3)
    assert fused.shape == (64, 32)


def test_t5_is_one_list_and_per_module_budgets_count_its_modules(tmp_path):
    save_family("t5", tmp_path)
    found = outline(tmp_path)
    made = plan(found, method="uniform", budget=12)
    assert [(layer.stack, layer.layer) for layer in made.layers] == [
        ("encoder", 0), ("encoder", 1), ("decoder", 0), ("decoder", 1)
    ]  # fmt: skip
    assert sum(made.counts) == 12
    assert sum(plan(found, method="uniform", budget=12, per_module=True).counts) == 12 * 32 // 4


def test_shapes_need_no_spectra(minilm):
    made = plan(outline(minilm, hashes=True), method="mola", parameters={"shape": "8642"})
    assert made.counts == (8, 7, 6, 4, 3, 2)
    assert made.weights == (MINILM_SHA256,)
    assert made.values == "none"
    assert made.warnings == ()
    assert "without hashes" in plan(outline(minilm), method="mola").warnings[0]
    assert made.stability == ()
    with pytest.raises(InvalidRequest, match="analyse the model first"):
        plan(outline(minilm), budget=30)


def test_custom(analysis):
    counts = {"counts": [1, 2, 3, 4, 5, 6]}
    assert plan(analysis, method="custom", parameters=counts).counts == (1, 2, 3, 4, 5, 6)
    for options, message in (
        ({"budget": 20}, "sum to 21, not to the budget of 20"),
        ({"max_experts": 5}, "custom count 6 at position 5"),
        ({"per_module": True}, "6 counts for 36"),
        ({"budget": 9e6, "budget_kind": "parameters"}, "cannot meet a number of parameters"),
    ):
        with pytest.raises((InvalidRequest, InfeasibleBudget), match=message):
            plan(analysis, method="custom", parameters=counts, **options)


def test_custom_counts_of_modules_bring_their_own_budget(analysis):
    counts = [1 + number % 3 for number in range(36)]
    made = plan(analysis, method="custom", counts=counts, per_module=True)
    assert made.counts == tuple(counts)
    assert (made.budget.allocated, made.budget.experts) == (72, 12)


def test_digest(analysis, precise):
    made = plan(analysis, budget=30)
    content = {
        "weights": [MINILM_SHA256], "method": "alphalora", "parameters": made.parameters,
        "counts": [5, 5, 5, 4, 5, 6],
    }  # fmt: skip
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert made.digest == hashlib.sha256(canonical).hexdigest()
    assert json.loads(made.to_json())["digest"] == made.digest
    renamed = analysis.model_copy(update={"model": "another name"})
    assert plan(renamed, budget=30).digest == made.digest
    assert plan(precise, budget=30).digest == made.digest, "alphas differ in the sixth digit"
    assert plan(analysis, budget=30, rank=4).digest != made.digest
    assert plan(analysis, budget=31).digest != made.digest


def test_stability(analysis, precise):
    found = {other.estimator: other for other in plan(analysis, budget=30).stability}
    assert found["ks"].counts == plan(analysis, budget=30, estimator="ks").counts
    assert found["ks"].changed == 5
    assert found["peak"].status == found["peak_as_released"].status == "needs_float64"
    found = {other.estimator: other for other in plan(precise, budget=30).stability}
    for name, other in found.items():
        assert other.counts == plan(precise, budget=30, estimator=name).counts
    corrected = plan(analysis, budget=30, aspect="marchenko_pastur").stability
    assert {other.status for other in corrected} == {"not_applicable"}


def test_minilm_by_the_estimator_of_the_released_code(precise):
    """The golden case `all-MiniLM-L6-v2 encoder layer means`, from weights to counts."""
    from tests.golden import released_allocations

    case = next(c for c in released_allocations() if c["name"].startswith("all-MiniLM"))
    made = plan(precise, budget=30, method="alphalora_as_released", estimator="peak_as_released")
    assert list(made.counts) == case["allocation"]
    for layer, alpha in zip(made.layers, case["alphas"], strict=True):
        assert layer.alpha == pytest.approx(alpha, rel=1e-4)


def test_budget_curve(analysis):
    curve = budget_curve(analysis, range(6, 61))
    assert curve.rounding == "webster"
    for budget, counts in zip(curve.budgets, curve.counts, strict=True):
        assert sum(counts) == budget
        assert counts == plan(analysis, budget=budget, rounding="webster").counts
    for before, after in zip(curve.counts, curve.counts[1:], strict=False):
        assert all(b <= a for b, a in zip(before, after, strict=True))


def test_curves_are_refused_where_there_is_none(analysis):
    for words, message in (
        ({"method": "alphalora_as_released"}, "has no curve"),
        ({"method": "custom", "counts": [1] * 6}, "has no curve"),
        ({"max_experts": 2}, "use 6 to 12"),
    ):
        with pytest.raises((InvalidRequest, InfeasibleBudget), match=message):
            budget_curve(analysis, [30], **words)
    for budget in (20.7, 10**9):
        with pytest.raises(InvalidRequest, match="whole numbers up to"):
            budget_curve(analysis, [budget])


def test_methods_own_parameters_are_keywords_too(analysis):
    steep = plan(analysis, budget=30, beta=20)
    assert steep.digest == plan(analysis, budget=30, parameters={"beta": 20.0}).digest
    assert steep.counts != plan(analysis, budget=30).counts
    assert (
        budget_curve(analysis, [30], method="mola", shape="8642").counts[0]
        == plan(analysis, budget=30, method="mola", shape="8642", rounding="webster").counts
    )
    assert (
        plan(analysis, budget=30, modules="query,value").digest
        == plan(analysis, budget=30, modules=["query", "value"]).digest
    )


def test_what_a_plan_cannot_be_made_from():
    for given in ("path/to/model", 7, None):
        with pytest.raises(InvalidRequest, match="not from"):
            plan(given, budget=30)
    with pytest.raises(InvalidRequest, match="score of layer 1"):
        plan([1.0, "a"], budget=30)


def test_parameter_budgets_under_webster(analysis):
    for per_module in (False, True):
        words = {"rounding": "webster", "per_module": per_module}
        made = plan(analysis, budget=1_762_559, budget_kind="parameters", **words)
        assert made.trainable_parameters <= 1_762_559
        larger = plan(analysis, budget=made.budget.experts + 1, **words)
        assert larger.trainable_parameters > 1_762_559


def test_modules_and_stacks_are_chosen(analysis, tmp_path):
    made = plan(analysis, budget=30, modules=["query", "value"])
    assert {m.name for layer in made.layers for m in layer.modules} == {
        "attention.self.query", "attention.self.value"
    }  # fmt: skip
    save_family("llava", tmp_path)
    found = outline(tmp_path)
    assert {x.stack for x in plan(found, method="uniform", budget=4).layers} == {"text"}
    vision = plan(found, method="uniform", budget=4, stack="vision")
    assert {layer.stack for layer in vision.layers} == {"vision"}
    assert len(plan(found, method="uniform", budget=8, stack="all").layers) == 4


def test_failed_matrices_are_warned_of(tmp_path):
    from safetensors.torch import load_file, save_file

    save_family("llama", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.1.self_attn.q_proj.weight"].zero_()
    save_file(weights, tmp_path / "model.safetensors")
    found = analyze(tmp_path)
    made = plan(found, budget=6)
    assert [w for w in made.warnings if "q_proj" in w and "zero_matrix" in w]
    assert not plan(found, budget=6, modules=["v_proj"]).warnings
    with pytest.raises(BadModel, match="self_attn.q_proj in layer 1"):
        plan(found, budget=6, per_module=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the budget is missing"),
        ({"budget": 5}, "6 layers.*use a budget of 6 or more"),
        ({"budget": 30.5}, "not whole; use 30 or 31"),
        ({"budget": float("nan")}, "whole number"),
        ({"budget": float("inf")}, "whole number"),
        ({"budget": 1e12}, "too large; use 6 to 100000"),
        ({"budget": 30, "method": "gamma"}, "method gamma is unknown; use one of alphalora"),
        ({"budget": 30, "budget_kind": "total"}, "budget kind total is unknown"),
        ({"budget": 30, "rounding": "up"}, "rounding up is unknown"),
        ({"budget": 30, "estimator": "peak"}, "holds no peak fits"),
        ({"budget": 30, "estimator": "median"}, "estimator median is unknown"),
        ({"budget": 30, "modules": ["gate"]}, "module gate is not in this model"),
        ({"budget": 30, "stack": "vision"}, "stack vision is not in"),
        ({"budget": 30, "parameters": {"shape": "2468"}}, "its parameters are beta"),
        ({"budget": 30, "min_experts": 6}, "at least 6 each"),
        ({"budget": 30, "max_experts": 4}, "use 6 to 24"),
        ({"budget": "30"}, "the budget is '30'"),
        ({"budget": 30, "rank": 8.5}, "rank is 8.5"),
        ({"budget": 30, "min_experts": 1.5}, "min-experts is 1.5"),
        ({"budget": 30, "stack": ["text"]}, "use a name"),
        ({"budget": 30, "modules": [1]}, "not a list of names"),
        ({"budget": 30, "weighting": "rank"}, "weighting rank is unknown"),
        ({"method": "mola", "budget": 30, "estimator": "median"}, "estimator median is unknown"),
        ({"budget": 30, "betta": 2}, "parameter betta"),
        ({"budget": 30, "top_k": 0}, "top-k is 0"),
        ({"budget": 30, "rank": 0}, "rank is 0"),
        ({"budget": 30, "lora_alpha": 0}, "lora-alpha is 0"),
    ],
)
def test_requests_that_no_plan_can_meet(analysis, options, message):
    with pytest.raises((InvalidRequest, InfeasibleBudget, InvalidOption), match=message):
        plan(analysis, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["layers"][0].update(experts=0), "layers.0.experts"),
        (lambda d: d.update(layers=[]), "layers"),
        (lambda d: d["layers"][0].update(experts=2), "its digest does not fit"),
        (lambda d: d["parameters"].update(beta=3), "its digest does not fit"),
        (lambda d: d["layers"][0].update(top_k=1), "the top_k in layer 0 of text"),
        (lambda d: d["layers"][1]["modules"][2].update(rank=2), "the rank of attention.self.query"),
        (lambda d: d["layers"][5]["modules"][0].update(experts=9), "the experts of attention"),
        (lambda d: d["layers"][5]["modules"][0].update(shape=[9, 9]), "trainable parameters"),
        (
            lambda d: d["layers"][2]["modules"][0].update(lora_alpha=1),
            "the lora_alpha of attention",
        ),
        (lambda d: d["layers"][2]["modules"][1].update(top_k=1), "the top_k of attention.self.key"),
        (lambda d: d.update(trainable_parameters=1), "trainable parameters"),
        (lambda d: d["parameters"].update(beta=float("nan")), "it is not JSON|its digest"),
        (lambda d: d.pop("layers"), "layers is missing"),
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d.update(schema="tailora.plan/2"), "a document of tailora.plan/2, not of"),
        (lambda d: d.update(schema="tailora.analysis/1"), "a document of tailora.analysis/1"),
    ],
)
def test_plan_files_that_were_changed_are_refused(analysis, change, message):
    made = plan(analysis, budget=30)
    assert read_plan(made.to_json()) == made
    document = json.loads(made.to_json())
    change(document)
    with pytest.raises(UnreadablePlan, match=message):
        read_plan(json.dumps(document))
    with pytest.raises(UnreadablePlan, match="it is not JSON"):
        read_plan("experts: 1 2 3")
