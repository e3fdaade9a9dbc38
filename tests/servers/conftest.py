import signal

from tests.servers.fixtures import cluster, postgres, postgres_url, redis

__all__ = ["cluster", "postgres", "postgres_url", "redis"]

# As Ctrl-C does, so that a run that is told to end leaves no server behind.
signal.signal(signal.SIGTERM, signal.default_int_handler)
