"""Where the service is and with which key, from the environment."""

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from service.client.errors import WrongAddress

URL, KEY = "TAILORA_URL", "TAILORA_API_KEY"

_LABEL = r"[\w-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9a-f]*:[0-9a-f:.]*", re.ASCII)
_PLAIN = re.compile(r"[\w./~%-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL without a slash at its end, and the key that is sent there and nowhere else."""

    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def on_this_machine(self) -> bool:
        """Whether the host is this machine, which no proxy stands in front of."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False


def from_environment() -> Address | None:
    """The service that TAILORA_URL names; None where it is not set. Raises WrongAddress."""
    url = os.environ.get(URL, "").strip()
    if not url:
        return None
    key = os.environ.get(KEY, "").strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise WrongAddress(f"{KEY} holds characters that no key has; copy the key again")
    return Address(_checked(url), key or None)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        wrong = _wrong(parts)
    except ValueError:
        wrong = "it is no URL"
    if wrong is not None:
        raise WrongAddress(f"{URL} is wrong: {wrong}; give one such as http://127.0.0.1:8000")
    return url.rstrip("/")


def _wrong(parts: SplitResult) -> str | None:
    """What is wrong with the address; it is not repeated, since it may hold a password."""
    if not _PLAIN.fullmatch(parts.path):
        return "its path has characters that are not plain"
    if parts.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if parts.port == 0 or not _HOST.fullmatch(parts.hostname or ""):
        return "it names no host, or port 0"
    if parts.username is not None or parts.password is not None:
        return f"it holds a name or password, but a key belongs into {KEY}"
    if parts.query or parts.fragment:
        return "it has a ? or # part"
    return None
