"""What `merge` and `to-lora` refuse, and that nothing is left of it."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from analyzer.errors import BadModel, ModelNotFound
from tests.families import save_family
from tests.trainer.saved import save
from tests.trainer.test_exports import (
    base_of,
    exported,
    nothing_left,
)
from trainer.errors import BadAdapter, InvalidTexts, ModelMismatch, NotExportable
from trainer.exports.base import load_base
from trainer.exports.merge import merge
from trainer.exports.places import find
from trainer.exports.to_lora import to_lora

BAD_TEXTS = {
    "empty.jsonl": ("", "holds no text"),
    "blank.txt": (" \n\n", "holds no text"),
    "broken.jsonl": ('{"text": "a"}\n\n{"text": ', "line 3 of .* is not JSON"),
    "list.jsonl": ("[1]", "line 1 of .* is no object"),
    "column.jsonl": ('{"text": "a"}\n{"prompt": "b", "x": 1}', "line 2 of .* has only prompt, x"),
    "number.jsonl": ('{"prompt": "a", "completion": 3}', "line 1 of .* that is no text"),
    "table.csv": ("text\na", r"neither .jsonl .* nor .txt"),
    "latin.txt": ("\udcff", "not UTF-8 at byte 0"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_texts_that_cannot_be_read(name, tmp_path):
    content, message = BAD_TEXTS[name]
    (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InvalidTexts, match=message):
        to_lora("none", "none", tmp_path / name, tmp_path / "out")
    with pytest.raises(InvalidTexts, match="cannot read .*: No such file"):
        to_lora("none", "none", tmp_path / "none.txt", tmp_path / "out")
    with pytest.raises(InvalidTexts, match="batch-size 0"):
        exported(save(tmp_path), batch_size=0)


def test_adapters_that_are_none(tmp_path):
    saved = save(tmp_path)
    plain = LoraConfig(target_modules=["q_proj"])
    get_peft_model(base_of(saved), plain).save_pretrained(tmp_path / "plain")
    with pytest.raises(BadAdapter, match="of type LORA, not a mixture"):
        merge(str(tmp_path / "plain"), saved.base, saved.out)
    with pytest.raises(BadAdapter, match=r"has no adapter_config\.json"):
        merge(saved.base, saved.base, saved.out)
    with pytest.raises(ModelNotFound):
        merge(str(tmp_path / "none"), saved.base, saved.out)
    other = save(tmp_path / "other", "gpt2")
    with pytest.raises(ModelMismatch, match="which this model lacks"):
        merge(saved.adapter, other.base, saved.out)
    path = Path(saved.adapter, "adapter_model.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadAdapter, match="is damaged"):
        merge(saved.adapter, saved.base, saved.out)
    Path(saved.adapter, "adapter_config.json").write_text("{")
    with pytest.raises(BadAdapter, match="cannot be read"):
        merge(saved.adapter, saved.base, saved.out)
    nothing_left(saved, "plain", "other")


def test_bases_that_are_none(tmp_path):
    saved = save(tmp_path)
    weights = Path(saved.base, "model.safetensors")
    with pytest.raises(ModelNotFound, match="is one file"):
        merge(saved.adapter, str(weights), saved.out)
    tensors = load_file(weights)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"lack model\.layers\.1\.mlp\.up_proj\.weight"):
        merge(saved.adapter, saved.base, saved.out)
    path = Path(saved.base, "config.json")
    for architecture in ("NoSuchModel", "BertModel", "AutoModel", "logging"):
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"architectures": [architecture]})
        )
        with pytest.raises(BadModel, match=f"names the class {architecture}"):
            merge(saved.adapter, saved.base, saved.out)
    path.unlink()
    with pytest.raises(BadModel, match=r"config\.json"):
        merge(saved.adapter, saved.base, saved.out)
    nothing_left(saved)


def test_values_that_are_not_finite(tmp_path):
    saved = save(tmp_path)
    path = Path(saved.adapter, "adapter_model.safetensors")
    tensors = load_file(path)
    next(iter(tensors.values()))[0, 0, 0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})
    for use in (lambda: merge(saved.adapter, saved.base, saved.out), lambda: exported(saved)):
        with pytest.raises(NotExportable, match="finite"):
            use()
    nothing_left(saved)


def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    saved = save(tmp_path)
    full = OSError(28, "No space left on device")

    def fail(*_):
        raise full

    monkeypatch.setattr("trainer.exports.merge.copy_tokenizer", fail)
    with pytest.raises(NotExportable, match=r"cannot write .*: No space left"):
        merge(saved.adapter, saved.base, saved.out)
    nothing_left(saved)


def test_every_family_loads_as_its_own_class(tmp_path):
    for family in ("qwen3", "llava", "opt", "vit"):
        model = save_family(family, tmp_path / family)
        loaded = load_base(find(str(tmp_path / family)))
        assert type(loaded) is type(model)
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor)
