"""What becomes of a trained adapter: a plain model, or a plain LoRA.

merge: one expert everywhere: its update added to the base weights, exactly
to_lora, lora: several experts: a LoRA of the mean gates, and what that costs in loss
base: the base model with its tokenizer
adapter: the adapter's config and weights, and what is refused of it
texts, losses: the user's data, and the mean loss per token on it
places: where models and adapters lie, and folders that are written whole
"""
