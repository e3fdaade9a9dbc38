"""Sizes as people type and read them."""

import re

from service.cli.failures import CommandError

_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) *([kmgt]?)(i?)b?", re.IGNORECASE)


def parse_size(text: str, option: str) -> int:
    """Bytes of `500MB`, `1.5 GiB` or `2000000000`. Raises CommandError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise CommandError(f"{option} {text[:40]} is not a size such as 500MB or 4GB")
    number, prefix, binary = found.groups()
    power = " kmgt".index(prefix.lower() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)


def format_size(size: float) -> str:
    """`1.5 GB` of 1500000000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def format_seconds(seconds: float) -> str:
    """`1 h 5 min` of 3900."""
    if seconds < 90:
        return f"{max(seconds, 0.1):.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
