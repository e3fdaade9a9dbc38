"""Forward and backward of one adapted linear layer: PEFT's LoRA of rank E·r, ours, and a loop.

Ours counts statistics and has a balance loss; r = 8, k = 2. The loop is what research code does:
for each expert a mask, a gather, two products and a scattered sum, without either. All are called
as bare layers, in interleaved rounds; cells are medians in milliseconds, ratios are of medians.
"saved": what autograd keeps between forward and backward, beside parameters, in MiB.

    python -m benchmarks.mixture [--width 1024] [--tokens 2048,64] [--experts 2,5,8,16]
    python -m benchmarks.mixture --device cuda --width 4096 --tokens 8192
"""

import argparse
import time
from statistics import median

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from benchmarks.machine import describe
from trainer.balance import Balance
from trainer.grouped import GroupedName
from trainer.mixture import Mixture, MixtureLinear
from trainer.shape import MixtureShape

RANK, TOP_K, ALPHA = 8, 2, 16.0
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Loop(nn.Module):
    """Experts one by one, on the tokens that picked them."""

    def __init__(self, base: nn.Linear, experts: int) -> None:
        """B of each expert begins at random."""
        super().__init__()
        width, out, dtype = base.in_features, base.out_features, base.weight.dtype
        place = {"device": base.weight.device, "dtype": dtype}
        self.base = base
        self.router = nn.Linear(width, experts, bias=False, **place)
        self.down = nn.ModuleList(
            nn.Linear(width, RANK, bias=False, **place) for _ in range(experts)
        )
        self.up = nn.ModuleList(nn.Linear(RANK, out, bias=False, **place) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        """The adapted output."""
        output = self.base(x)
        flat = x.reshape(-1, x.shape[-1])
        shares, picks = self.router(flat).float().softmax(dim=-1).topk(TOP_K, dim=-1)
        shares = (shares / shares.sum(dim=-1, keepdim=True)).to(x.dtype)
        update = torch.zeros(len(flat), output.shape[-1], device=x.device, dtype=x.dtype)
        for number, (down, up) in enumerate(zip(self.down, self.up, strict=True)):
            rows, places = (picks == number).nonzero(as_tuple=True)
            each = up(down(flat[rows])) * (ALPHA / RANK) * shares[rows, places, None]
            update.index_add_(0, rows, each)
        return output + update.view(output.shape)


def peft_lora(base: nn.Linear, rank: int) -> nn.Module:
    """PEFT's own layer, without the model around it."""
    model = nn.ModuleDict({"layer": base})
    config = LoraConfig(r=rank, lora_alpha=int(ALPHA), target_modules=["layer"])
    get_peft_model(model, config, autocast_adapter_dtype=False)
    return model["layer"]


def ours(base: nn.Linear, experts: int, form: GroupedName = "dense") -> nn.Module:
    shape = MixtureShape(experts, min(TOP_K, experts), RANK, ALPHA)
    words = {"device": base.weight.device, "dtype": base.weight.dtype}
    sizes = base.in_features, base.out_features
    mixture = Mixture(*sizes, shape, balance=Balance("sound", 0.001), form=form, **words)
    nn.init.normal_(mixture.experts_B, std=0.01)
    return MixtureLinear(base, mixture)


def layers(width: int, experts: int, dtype: torch.dtype, device: str) -> dict[str, nn.Module]:
    def base() -> nn.Linear:
        return nn.Linear(width, width, device=device, dtype=dtype).requires_grad_(False)

    return {
        "linear": base(),
        "lora": peft_lora(base(), experts * RANK),
        "ours": ours(base(), experts),
        "grouped": ours(base(), experts, "grouped"),
        "loop": Loop(base(), experts),
    }


def once(layer: nn.Module, x: Tensor, gradient: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    x.grad = None
    layer.zero_grad(set_to_none=True)
    start = time.perf_counter()
    layer(x).backward(gradient)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def saved(layer: nn.Module, x: Tensor) -> float:
    """MiB that autograd keeps, each storage once, without parameters."""
    owned = {parameter.untyped_storage().data_ptr() for parameter in layer.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        output = layer(x)
    del output
    return sum(kept.values()) / 2**20


def row(found: dict[str, nn.Module], x: Tensor, rounds: int) -> dict[str, float]:
    gradient = torch.randn_like(x)
    times: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds + 3):
        for name, layer in found.items():
            taken = once(layer, x, gradient)
            if number >= 3:
                times[name].append(taken)
    return {name: 1000 * median(values) for name, values in times.items()}


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--tokens", type=numbers, default=[2048, 64])
    parser.add_argument("--experts", type=numbers, default=[2, 5, 8, 16])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each row, about")
    asked = parser.parse_args()
    print(describe())
    print(
        "| dtype | T | E | linear | LoRA E·r | ours | grouped | loop | ours / LoRA | loop / ours "
        "| saved LoRA | ours | loop |"
    )
    print("|---" * 13 + "|")
    for name, dtype in DTYPES.items():
        for tokens in asked.tokens:
            for experts in asked.experts:
                torch.manual_seed(0)
                found = layers(asked.width, experts, dtype, asked.device)
                words = {"device": asked.device, "dtype": dtype, "requires_grad": True}
                x = torch.randn(1, tokens, asked.width, **words)
                trial = sum(once(layer, x, torch.randn_like(x)) for layer in found.values())
                rounds = max(10, min(400, int(asked.seconds / trial)))
                took = row(found, x, rounds)
                memory = {key: saved(found[key], x) for key in ("lora", "ours", "loop")}
                cells = [f"{took[key]:.2f}" for key in found]
                cells += [
                    f"{took['ours'] / took['lora']:.2f}",
                    f"{took['loop'] / took['ours']:.2f}",
                ]
                cells += [f"{value:.1f}" for value in memory.values()]
                print(f"| {name} | {tokens} | {experts} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
