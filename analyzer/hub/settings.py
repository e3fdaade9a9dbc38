"""How to reach the Hub, as huggingface_hub itself is told."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from analyzer.errors import AccessDenied

CDN_HOSTS = ("hf.co", "huggingface.co")
"""Domains that the Hub's own download links lead to."""

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Endpoint, token, cache folder and limits; never part of a result or a message."""

    endpoint: str
    cache: Path
    token: str | None = field(default=None, repr=False)
    offline: bool = False
    timeout: float = 10.0
    """Seconds to wait for an answer, or for the next bytes of one."""

    @classmethod
    def from_environment(cls) -> "HubSettings":
        """What `HF_ENDPOINT`, `HF_TOKEN` (or `hf auth login`), `HF_HOME` … say.

        Raises AccessDenied where the token cannot be one.
        """
        from huggingface_hub import constants, get_token

        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
        if token and not (token.isascii() and token.isprintable()):
            raise AccessDenied(
                "the token (HF_TOKEN, or the one of `hf auth login`) holds characters that no "
                "token has; copy it again from your account's settings"
            )
        return cls(
            endpoint=constants.ENDPOINT,
            cache=Path(constants.HF_HUB_CACHE),
            token=token,
            offline=constants.HF_HUB_OFFLINE,
            timeout=float(constants.HF_HUB_DOWNLOAD_TIMEOUT),
        )

    @property
    def shown(self) -> str:
        """The endpoint as messages show it: without a user's name and password."""
        own = urlsplit(self.endpoint)
        return own._replace(netloc=own.netloc.rpartition("@")[2]).geturl()

    def is_endpoint(self, url: str) -> bool:
        """Whether a URL belongs to the endpoint itself, the only one that is shown the token."""
        own, other = urlsplit(self.endpoint), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)

    def may_follow(self, url: str) -> bool:
        """Whether the endpoint may send us there: to itself or to the Hub's own domains.

        Only https, unless the endpoint is reached without it. An endpoint on this machine may
        name this machine in other ways; no other private address is ever followed.
        """
        own, other = urlsplit(self.endpoint), urlsplit(url)
        host = other.hostname or ""
        if other.scheme != "https" and (other.scheme, own.scheme) != ("http", "http"):
            return False
        if host == own.hostname or {host, own.hostname} <= LOOPBACK:
            return True
        return any(host == domain or host.endswith(f".{domain}") for domain in CDN_HOSTS)
