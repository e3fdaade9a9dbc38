"""Small models with random weights, built and saved by transformers itself."""

from collections.abc import Callable
from pathlib import Path

import torch
import transformers as t

_SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GROUPED = {**_SMALL, "num_key_value_heads": 2}
_GPT2 = {
    "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64, "n_positions": 32,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_FALCON = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
_MROPE = {"type": "mrope", "mrope_section": [1, 1, 2]}

FAMILIES: dict[str, Callable[[], t.PreTrainedModel]] = {
    "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**_GROUPED)),
    "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**_GROUPED)),
    "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**_GROUPED)),
    "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**_GROUPED, head_dim=8)),
    "gemma2": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(**_GROUPED, head_dim=8)),
    "phi": lambda: t.PhiForCausalLM(t.PhiConfig(**_SMALL)),
    "phi3": lambda: t.Phi3ForCausalLM(t.Phi3Config(**_GROUPED)),
    "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(**_GPT2)),
    "gpt_bigcode": lambda: t.GPTBigCodeForCausalLM(t.GPTBigCodeConfig(**_GPT2)),
    "gpt_neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**_SMALL)),
    "bloom": lambda: t.BloomForCausalLM(
        t.BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=64)
    ),
    "falcon": lambda: t.FalconForCausalLM(t.FalconConfig(**_FALCON)),
    "falcon_grouped": lambda: t.FalconForCausalLM(
        t.FalconConfig(**_FALCON, new_decoder_architecture=True, num_kv_heads=2)
    ),
    "falcon_rw": lambda: t.FalconForCausalLM(
        t.FalconConfig(**_FALCON, multi_query=False, new_decoder_architecture=False)
    ),
    "codegen": lambda: t.CodeGenForCausalLM(t.CodeGenConfig(**_GPT2, n_ctx=32, rotary_dim=4)),
    "deberta": lambda: t.DebertaModel(t.DebertaConfig(**_SMALL)),
    "bert": lambda: t.BertModel(t.BertConfig(**_SMALL)),
    "roberta": lambda: t.RobertaForMaskedLM(t.RobertaConfig(**_SMALL)),
    "modernbert": lambda: t.ModernBertModel(
        t.ModernBertConfig(**_SMALL, cls_token_id=1, sep_token_id=2)
    ),
    "opt": lambda: t.OPTForCausalLM(
        t.OPTConfig(
            hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, vocab_size=64,
            word_embed_proj_dim=32, max_position_embeddings=32,
        )
    ),
    "t5": lambda: t.T5ForConditionalGeneration(
        t.T5Config(d_model=32, d_ff=48, num_layers=2, num_heads=4, d_kv=8, vocab_size=64)
    ),
    "vit": lambda: t.ViTModel(t.ViTConfig(**_VISION)),
    "llava": lambda: t.LlavaForConditionalGeneration(
        t.LlavaConfig(
            vision_config=t.CLIPVisionConfig(**_VISION), text_config=t.LlamaConfig(**_GROUPED),
            image_token_index=60,
        )
    ),
    "qwen2_vl": lambda: t.Qwen2VLForConditionalGeneration(
        t.Qwen2VLConfig(
            text_config={**_GROUPED, "rope_scaling": _MROPE},
            vision_config={
                "depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2,
                "patch_size": 8,
            },
        )
    ),
    "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**_GROUPED, num_local_experts=3)),
    "qwen3_moe": lambda: t.Qwen3MoeForCausalLM(
        t.Qwen3MoeConfig(
            **_GROUPED, num_experts=3, moe_intermediate_size=24, num_experts_per_tok=2, head_dim=8
        )
    ),
    "gpt_oss": lambda: t.GptOssForCausalLM(
        t.GptOssConfig(**_GROUPED, num_local_experts=3, head_dim=8)
    ),
    "llama4": lambda: t.Llama4ForCausalLM(
        t.Llama4TextConfig(**_GROUPED, num_local_experts=3, intermediate_size_mlp=40, head_dim=8)
    ),
    "granite_moe": lambda: t.GraniteMoeForCausalLM(
        t.GraniteMoeConfig(**_GROUPED, num_local_experts=3)
    ),
    "deepseek_v3": lambda: t.DeepseekV3ForCausalLM(
        t.DeepseekV3Config(
            **_SMALL, num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=8, qk_rope_head_dim=4,
            qk_nope_head_dim=8, v_head_dim=8, n_routed_experts=4, moe_intermediate_size=24,
            first_k_dense_replace=1, n_group=2, topk_group=1, num_experts_per_tok=2,
        )
    ),
}  # fmt: skip


def save_family(name: str, folder: Path) -> t.PreTrainedModel:
    """Build a family's model with seeded weights, save it into `folder`, and return it."""
    t.logging.set_verbosity_error()
    t.logging.disable_progress_bar()
    torch.manual_seed(0)
    model = FAMILIES[name]().eval()
    model.save_pretrained(folder)
    return model
