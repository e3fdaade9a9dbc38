"""A small causal model trained from scratch on running text, as a folder like the Hub's."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn import functional

END = "<|end|>"
CONFIG: dict[str, Any] = {
    "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6,
    "num_attention_heads": 6, "max_position_embeddings": 512, "tie_word_embeddings": True,
}  # fmt: skip
LENGTH, BATCH, LEARNING_RATE, WARM_UP = 128, 16, 3e-3, 50


def pretrain(
    folder: Path,
    texts: Sequence[str],
    held_out: Sequence[str],
    *,
    steps: int,
    vocabulary: int = 2048,
    say: Callable[[str], None] = print,
) -> None:
    """Train tokenizer and model, and save both in `folder`. Texts are parted by an end token."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of(texts, vocabulary)
    end = tokenizer.eos_token_id
    model: Any = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            **CONFIG, vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end
        )
    )
    train, held = _joined(tokenizer, texts), _joined(tokenizer, held_out)
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.1)
    schedule = transformers.get_cosine_schedule_with_warmup(optimiser, WARM_UP, steps)
    start = time.monotonic()
    for number, batch in zip(range(1, steps + 1), _batches(train), strict=False):
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if number % 50 == 0:
            say(f"step {number}: loss {loss.item():.3f}, {time.monotonic() - start:.0f} s")
    say(f"held-out loss {held_out_loss(model, held):.3f} a token")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tokenizer_of(texts: Sequence[str], vocabulary: int) -> Any:
    """Byte-level BPE: any text can be written with it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )


@torch.no_grad()
def held_out_loss(model: Any, ids: Tensor) -> float:
    """In nats a token, over windows that do not overlap."""
    model.eval()
    windows = ids[: len(ids) // LENGTH * LENGTH].view(-1, LENGTH)
    total = 0.0
    for batch in windows.split(BATCH):
        logits = model(input_ids=batch).logits[:, :-1].flatten(0, 1)
        total += float(functional.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum"))
    model.train()
    return total / (len(windows) * (LENGTH - 1))


def _joined(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    ids: list[int] = []
    for text in texts:
        ids += [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    return torch.tensor(ids)


def _batches(ids: Tensor) -> Iterator[Tensor]:
    """Windows from anywhere, without end."""
    draw = torch.Generator().manual_seed(0)
    while True:
        starts = torch.randint(len(ids) - LENGTH, (BATCH,), generator=draw)
        yield torch.stack([ids[start : start + LENGTH] for start in starts])
