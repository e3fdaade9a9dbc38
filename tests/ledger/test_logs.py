"""What a log line may hold, and what it may not."""

import json
import logging

import pytest
import structlog

from ledger.logs import configure_logs
from ledger.settings import load_settings


@pytest.fixture
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values(restored, capsys, form):
    configure_logs(load_settings(log_format=form))
    secret = "".join(["the ", "secret"])
    try:
        raise ValueError(len(secret))
    except ValueError:
        structlog.get_logger().exception("it_failed", place="here")
    said = capsys.readouterr().err
    assert "ValueError: 10" in said
    assert "raise ValueError" in said
    assert secret not in said
    if form == "json":
        assert json.loads(said)["event"] == "it_failed"
