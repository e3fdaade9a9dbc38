"""What is reached over the network: the Hub, and the service that TAILORA_URL names."""

from collections.abc import Iterator

from service.cli.checkup.finding import Finding

SECONDS = 4.0


def hub() -> Iterator[Finding]:
    """Whether the Hub answers, or is not to be asked."""
    import httpx2

    from analyzer.hub.settings import HubSettings

    settings = HubSettings.from_environment()
    if settings.offline:
        yield Finding(
            "hub", "warn", "HF_HUB_OFFLINE is set, so only cached models are read",
            "unset it to read models from the Hub",
        )  # fmt: skip
        return
    token = "with a token" if settings.token else "without a token"
    try:
        answer = httpx2.get(f"{settings.endpoint}/api/models?limit=1", timeout=SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        yield Finding(
            "hub", "warn", f"{settings.shown} does not answer ({type(error).__name__})",
            "check the network, HF_ENDPOINT and HTTPS_PROXY; local models need no Hub",
        )  # fmt: skip
        return
    if answer.status_code >= 500:
        yield Finding(
            "hub", "warn", f"{settings.shown} answers {answer.status_code}", "try again later"
        )
    else:
        yield Finding("hub", "ok", f"{settings.shown} answers, {token}")


def service() -> Iterator[Finding]:
    """Whether the service that TAILORA_URL names answers and takes the key; nothing without it."""
    from service.cli.remote import service as remote
    from service.cli.remote import wants_service

    if not wants_service():
        return
    from service.client import server
    from service.client.jobs import RemoteJobs

    server.DEADLINE = SECONDS
    with remote() as found:
        RemoteJobs(found).newest("plan", None, 1)
        yield Finding("service", "ok", f"{found.url} answers and lets us in")
