"""Fine-tune what a plan describes.

base: the base model, its files checked against the plan, with the head that the task needs
adapt: the mixture (or the plain LoRA) that a recipe asks for
files, checkpoints: what is written whole; which of a run's checkpoints are whole
loop: Hugging Face's Trainer, with what mixtures and interruptions need
signals: SIGTERM and SIGINT over more than one run
metrics: metrics.jsonl, and lines for the terminal
run: from a recipe to a trained adapter
"""
