"""A tiny Llama with random weights and one to six experts a layer learns which token follows which.

Run it as `python examples/mixture.py`; with --freeze-experts only routers learn, which is nothing.
"""

import sys
import tempfile

import torch
import transformers
from peft import get_peft_model

import tailora

torch.manual_seed(0)
base = transformers.LlamaForCausalLM(
    transformers.LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=6, num_attention_heads=4,
        vocab_size=32, initializer_range=0.1,
    )
)  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    base.save_pretrained(folder)
    counts = {"counts": [1, 2, 3, 4, 5, 6]}
    plan = tailora.plan(tailora.outline(folder), method="custom", parameters=counts)
model = get_peft_model(base, tailora.MixtureConfig.from_plan(plan))
for name, parameter in model.named_parameters():
    if "--freeze-experts" in sys.argv and "experts" in name:
        parameter.requires_grad = False

successor = torch.randperm(32)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
for step in range(100):
    tokens = [torch.randint(32, (32,))]
    for _ in range(7):
        tokens.append(successor[tokens[-1]])
    ids = torch.stack(tokens, dim=1)
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.3f}")

ids = torch.arange(32).unsqueeze(1)
guesses = model(input_ids=ids).logits[:, -1].argmax(dim=-1)
print(f"accuracy {(guesses == successor).float().mean().item():.2f}")
