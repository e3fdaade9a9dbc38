"""A real HTTP server that says what it is told to, whatever it is asked."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Canned:
    """A real server with a list of answers, the last of which stays; it keeps what it was sent."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.times: list[float] = []

    def next(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def answer(status=200, body="", kind="application/json", **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return status, text.encode(), {"Content-Type": kind, **headers}


def problem(code: str, status: int, detail="it is so; do that", **headers):
    body = {"type": "x", "title": "x", "status": status, "detail": detail, "code": code}
    return answer(status, body, "application/problem+json", **headers)


def envelope(status: str, **more):
    own = {"id": "pln_1", "object": "plan", "status": status, "model": "org/model", "new": 1}
    return {**own, "created_at": "2026-01-01T00:00:00Z", "progress": None, "error": None, **more}


@contextmanager
def server(*answers) -> Iterator[tuple[Canned, dict[str, str]]]:
    canned = Canned(*answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("content-length", 0))
            content = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            canned.asked.append((f"{self.command} {self.path}", headers, content))
            canned.times.append(time.monotonic())
            found = canned.next()
            if found == "hang up":
                return
            status, body, headers = found
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield canned, {"TAILORA_URL": f"http://127.0.0.1:{http.server_port}/"}
        finally:
            http.shutdown()
