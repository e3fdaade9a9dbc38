"""Run the API: alone, or with all that one machine needs."""

import threading
from collections.abc import Callable
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from ledger.access import Ledger
from ledger.errors import SettingsError
from ledger.logs import configure_logs
from ledger.migrate import check, upgrade
from ledger.settings import Settings, load_settings
from service.app import create_app
from worker.app import ANALYZE, TRAIN, make_app
from worker.devices import can_train
from worker.dispatcher import dispatcher
from worker.embedded import Supervisor, hold_data_folder, start_over, sweep_messages
from worker.housekeeper import housekeeper
from worker.loops import Loop
from worker.reaper import reaper

KEEP_ALIVE = 75
SWEEP_SECONDS = 600.0
STOP_SECONDS = 5

log = structlog.get_logger()


def run_api(settings: Settings) -> None:
    """Serve the API until stopped. Raises SettingsError, WrongVersion or DatabaseUnavailable."""
    configure_logs(settings)
    check_access(settings)
    ledger = Ledger(settings)
    check(ledger.database)
    loop = reaper(ledger).start()
    serve_all = _serve_with_several if settings.api_processes > 1 else _serve
    serve_all(ledger, loop.stop)


def serve(settings: Settings) -> None:
    """Serve the API with a dispatcher and a worker process of its own. Raises like run_api."""
    configure_logs(settings)
    check_access(settings)
    with hold_data_folder(settings):
        ledger = Ledger(settings)
        upgrade(ledger.database)
        start_over(ledger)
        loops = [
            reaper(ledger),
            dispatcher(ledger, make_app(settings)),
            housekeeper(ledger),
            Loop("sweeper", SWEEP_SECONDS, lambda: sweep_messages(settings)),
        ]
        for loop in loops:
            loop.start()
        queues = (ANALYZE, TRAIN) if can_train() else (ANALYZE,)
        supervisors = [Supervisor(ledger, queue, alone=len(queues) == 1) for queue in queues]
        for supervisor in supervisors:
            supervisor.start()

        def stop() -> None:
            for loop in loops:
                loop.stop()
            for supervisor in supervisors:
                supervisor.ask_to_stop()
            for supervisor in supervisors:
                supervisor.stop()

        _serve(ledger, stop)


def check_access(settings: Settings) -> None:
    """Others are let in with keys only, and keys need a pepper. Raises SettingsError."""
    if not settings.on_loopback and not settings.key_pepper.get_secret_value():
        raise SettingsError(
            f"TAILORA_HOST is {settings.host}, which others reach: set TAILORA_KEY_PEPPER to a "
            "secret, and make a key with `tailora keys create NAME`"
        )


def app_of_environment() -> FastAPI:
    """What each of several processes serves."""
    settings = load_settings()
    configure_logs(settings)
    return create_app(Ledger(settings))


def _how(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "log_config": None,
        "access_log": False,
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": STOP_SECONDS,
        "server_header": False,
        "lifespan": "on",
    }


def _serve_with_several(ledger: Ledger, stop: Callable[[], None]) -> None:
    """One socket, and processes that take turns at it; one that dies is started again."""
    settings = ledger.settings
    _say_listening(settings, settings.port)
    app, count = "service.server:app_of_environment", settings.api_processes
    try:
        uvicorn.run(app, factory=True, workers=count, **_how(settings))
    finally:
        stop()


def _serve(ledger: Ledger, stop: Callable[[], None]) -> None:
    settings = ledger.settings
    server = uvicorn.Server(uvicorn.Config(create_app(ledger), **_how(settings)))
    threading.Thread(target=_say_where, args=(server, settings), daemon=True).start()
    try:
        server.run()
    finally:
        stop()


def _say_where(server: uvicorn.Server, settings: Settings) -> None:
    """Once it listens: port 0 has become a real one."""
    while not server.started:
        if server.should_exit:
            return
        threading.Event().wait(0.05)
    _say_listening(settings, server.servers[0].sockets[0].getsockname()[1])


def _say_listening(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    log.info("listening", url=f"http://{host}:{port}")
