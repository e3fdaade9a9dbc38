"""Mixtures of LoRA experts beside frozen linear layers, and a PEFT tuner that a plan drives.

mixture, shape: the layer, in plain PyTorch
gates, balance, masks, initial: who is active, what evens it out, what is dropped, where A begins
routed, grouped: the two ways to compute it
step, statistics: what a loop tells the layers, and what they count
tuner: the PEFT method
evaluate, measures: how good a model is on held-out samples
assess, assessment: a saved adapter on a file; origin: what it was trained as
harness: lm-evaluation-harness with mixtures known to PEFT
exports: an adapter merged into its base, or as a plain LoRA
dataset, finetune, evaluate: samples, training runs, and what they came to
compare: the same data under several plans and seeds
errors: the exception tree
"""
