"""The Celery app: messages carry one unit's id and may be lost, doubled or late without harm."""

from typing import Any

from celery import Celery
from kombu import Queue

from ledger.settings import Settings

ANALYZE, TRAIN = "analyze", "train"
TASK = "tailora.unit"


def make_app(settings: Settings) -> Celery:
    """An app for the broker of the settings; connects to nothing yet."""
    app = Celery("tailora", broker=settings.broker, include=["worker.tasks"])
    app.conf.update(
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=ANALYZE,
        task_queues=[Queue(ANALYZE), Queue(TRAIN)],
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_publish_retry=False,
        worker_pool="prefork",
        worker_proc_alive_timeout=120.0,  # a cold disk takes long to load torch
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=settings.broker.startswith("redis"),
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_max_tasks_per_child=200,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_pool_start_method="spawn",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport(settings),
    )
    return app


def _transport(settings: Settings) -> dict[str, Any]:
    if settings.broker.startswith("filesystem"):
        folder = settings.data.resolve() / "messages"
        for name in ("queue", "done", "control"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        return {
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "processed_folder": str(folder / "done"),
            "control_folder": str(folder / "control"),
            "store_processed": True,
            "polling_interval": 0.1,
        }
    return {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
