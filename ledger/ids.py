"""Ids that sort by time and cannot be guessed."""

import secrets
import time


def new_id(prefix: str) -> str:
    """`pln_…`: 48 bits of time in milliseconds, then 80 random bits."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
