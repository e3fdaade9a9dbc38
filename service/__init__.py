"""The faces of TaiLoRA: command line, HTTP API, and its client."""
