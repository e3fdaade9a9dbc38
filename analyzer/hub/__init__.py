"""Reading checkpoints from the Hugging Face Hub: strictly, and without keeping them."""
