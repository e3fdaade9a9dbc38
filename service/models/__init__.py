"""What a model holds, from headers alone."""
