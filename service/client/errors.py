"""The errors of `service.client`.

    ClientError
    ├── WrongAddress        TAILORA_URL or TAILORA_API_KEY cannot be
    ├── ServiceUnreachable  the service does not answer, or asks to wait for too long
    │   └── NotTailora      what answers there is not TaiLoRA, or another version of it
    ├── Refused             the service said no; `code` is that of its problem
    └── JobFailed           the job ended without a result; `code` is that of its error

Every message is one line that names the thing, the cause and the next step.
"""


class ClientError(Exception):
    """Base class of every error that `service.client` raises on purpose."""


class WrongAddress(ClientError):
    """TAILORA_URL or TAILORA_API_KEY cannot be."""


class ServiceUnreachable(ClientError):
    """The service does not answer, or asks to wait for longer than we do."""


class NotTailora(ServiceUnreachable):
    """What answers at the address is not TaiLoRA, or another version of it."""


class Refused(ClientError):
    """The service said no."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep the code of the problem beside its detail."""
        super().__init__(detail)
        self.code = code


class JobFailed(ClientError):
    """The job ended without a result."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep the code of the job's error beside its detail."""
        super().__init__(detail)
        self.code = code
