"""The command `tailora`."""
