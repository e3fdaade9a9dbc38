"""The faces of TaiLoRA; so far the command line."""
