"""GET /metrics: what Prometheus reads. Counts are the ledger's, the same from every API process."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from analyzer.hub.transport import REQUESTS
from ledger.access import Ledger
from ledger.counters import BUCKETS, PEAK, read_counters
from ledger.depths import depths
from service.context import TheLedger

Metric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

COUNTERS = {
    "jobs_ended": ("Jobs that ended", ("kind", "state")),
    "bytes_read": ("Bytes of weights that workers read", ("origin",)),
    "hub_requests": ("Requests of workers to the Hub, by status", ("status",)),
    "spectra_solved": ("Spectra that workers solved", ()),
    "solve_seconds": ("Seconds that workers spent on units that solve", ()),
}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
HISTOGRAMS = {
    "job_seconds": "Seconds from a job's submission to its end",
    "job_wait_seconds": "Seconds from a job's submission to its start",
}


class HttpMetrics:
    """Requests of this process."""

    def __init__(self) -> None:
        """None yet."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tailora_http_requests",
            "Requests to this process",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tailora_http_seconds", "Until the answer's end", ["route"], registry=self.registry
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class LedgerMetrics(Collector):
    """What the ledger says at the moment of the scrape."""

    def __init__(self, ledger: Ledger) -> None:
        """Read nothing yet."""
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """All families."""
        with self._ledger.database.read() as connection:
            found = depths(connection, presence=self._ledger.settings.presence)
            counted = read_counters(connection)
        yield _gauge("jobs", "Jobs that have not ended", ("kind", "state"), found.jobs)
        yield _gauge("units", "Units that are open", ("kind", "state"), found.units)
        ages = {(kind,): age for kind, age in found.oldest_job.items()}
        yield _gauge("oldest_job_seconds", "Age of the oldest queued job", ("kind",), ages)
        ages = {(kind,): age for kind, age in found.oldest_unit.items()}
        yield _gauge("oldest_unit_seconds", "Age of the oldest waiting unit", ("kind",), ages)
        yield _gauge("workers", "Workers that reported lately", (), {(): found.workers})
        yield _gauge("worker_slots", "Units that they can do at a time", (), {(): found.slots})
        yield from _counted(counted)
        mine = CounterMetricFamily(
            "tailora_api_hub_requests", "Requests of this process to the Hub", labels=["status"]
        )
        for status, count in sorted(REQUESTS.counts().items()):
            mine.add_metric([status], count)
        yield mine

    def describe(self) -> list[Metric]:
        """Nothing: the names are known at the scrape only."""
        return []


def _gauge(
    name: str, help_text: str, labels: tuple[str, ...], values: Mapping[Any, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"tailora_{name}", help_text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _counted(counted: list[tuple[str, dict[str, str], float]]) -> Iterator[Metric]:
    for name, (help_text, labels) in COUNTERS.items():
        counter = CounterMetricFamily(f"tailora_{name}", help_text, labels=labels)
        for found, given, value in counted:
            if found == name:
                counter.add_metric([given[label] for label in labels], value)
        yield counter
    peak = {
        (given["host"], given["device"]): value
        for found, given, value in counted
        if found == f"worker{PEAK}"
    }
    text = "Highest memory of a worker process, or of its GPU"
    yield _gauge(f"worker{PEAK}", text, ("host", "device"), peak)
    for name, help_text in HISTOGRAMS.items():
        yield _histogram(name, help_text, counted)


def _histogram(
    name: str, help_text: str, counted: list[tuple[str, dict[str, str], float]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"tailora_{name}", help_text, labels=["kind"])
    sums = {given["kind"]: value for found, given, value in counted if found == f"{name}_sum"}
    for kind, total in sums.items():
        within = {
            given["le"]: value
            for found, given, value in counted
            if found == f"{name}_bucket" and given["kind"] == kind
        }
        cumulated, buckets = 0.0, []
        for edge in (*(str(most) for most in BUCKETS), "+Inf"):
            cumulated += within.get(edge, 0.0)
            buckets.append((edge, cumulated))
        family.add_metric([kind], buckets, total)
    return family


router = APIRouter(tags=["system"])


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, ledger: TheLedger) -> Response:
    """Prometheus text."""
    registry = CollectorRegistry()
    registry.register(LedgerMetrics(ledger))
    own: HttpMetrics = request.app.state.http_metrics
    content = generate_latest(registry) + generate_latest(own.registry)
    return Response(content, media_type=CONTENT_TYPE_LATEST)
