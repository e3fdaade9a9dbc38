"""Logs: structlog for our own lines and those of the libraries, as JSON or for a console."""

import logging
import sys
from typing import Any

import structlog

from ledger.settings import Settings

LONGEST = 2000


def configure_logs(settings: Settings) -> None:
    """Send every log line to stderr, in the format and from the level that the settings say."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _cut,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # Plain ones: those with the values of variables take seconds to draw, and print secrets.
    tracebacks = [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *tracebacks, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, *tracebacks],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in ("uvicorn", "uvicorn.access", "uvicorn.error", "celery", "httpx2"):
        logging.getLogger(noisy).handlers.clear()
        logging.getLogger(noisy).propagate = True
    for quiet in ("uvicorn.access", "httpx2", "httpcore2", "kombu", "amqp", "alembic", "celery"):
        logging.getLogger(quiet).setLevel(logging.WARNING)


def _cut(logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
    """No line from a stranger's name grows without bound."""
    return {
        name: value if not isinstance(value, str) or name == "exception" else value[:LONGEST]
        for name, value in line.items()
    }
