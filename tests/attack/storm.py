"""Many requests at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import httpx2

from tests.attack.service import Service


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how long."""

    status: int
    seconds: float
    body: dict[str, Any]


Ask = Callable[[httpx2.AsyncClient, int], Awaitable[httpx2.Response]]


def storm(
    service: Service, headers: dict[str, str], count: int, ask: Ask, *, at_once: int | None = None
) -> list[Answer]:
    """The answers to so many requests, at most `at_once` of them on their way at a time."""

    async def run() -> list[Answer]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=service.url, headers=headers, timeout=120, limits=limits, trust_env=False
        ) as http:
            gate = asyncio.Semaphore(at_once or count)

            async def one(number: int) -> Answer:
                async with gate:
                    began = time.monotonic()
                    answer = await ask(http, number)
                    return Answer(answer.status_code, time.monotonic() - began, answer.json())

            return list(await asyncio.gather(*(one(number) for number in range(count))))

    found = asyncio.run(run())
    service.bodies += [repr(one.body).encode() for one in found if one.status >= 400]
    return found


def p99(answers: Sequence[Answer]) -> float:
    """Seconds within which 99 of 100 answers came."""
    times = sorted(answer.seconds for answer in answers)
    return times[ceil(0.99 * len(times)) - 1]


def plans(model: str, keys: int, budget: int = 18) -> Ask:
    """POST a plan with one of so many idempotency keys."""
    body = {"model": model, "expert_budget": budget}

    async def ask(http: httpx2.AsyncClient, number: int) -> httpx2.Response:
        key = {"Idempotency-Key": f"key-{number % keys}"}
        return await http.post("/v1/plans", json=body, headers=key)

    return ask
