"""Plans, analyses and outlines from the service, as the libraries make them."""

import json
import time
from typing import Any

from pydantic import ValidationError

from allocator.errors import UnreadablePlan
from allocator.plan import Plan
from allocator.read import read_plan
from analyzer.outline import Outline
from analyzer.report import Analysis
from service.client.answers import another_version
from service.client.envelope import Envelope
from service.client.server import Server
from service.client.waiting import Watch, check, submit

PLANS, ANALYSES, MODEL_INFO = "/v1/plans", "/v1/analyses", "/v1/model-info"


def plan_of(server: Server, body: dict[str, Any], watch: Watch) -> Plan:
    """The plan that a body of POST /v1/plans asks for. Raises ClientError."""
    done = submit(server, PLANS, body, watch)
    try:
        return read_plan(json.dumps(done.plan))
    except UnreadablePlan as error:
        raise another_version(server.url, error) from error


def analysis_of(server: Server, body: dict[str, Any], watch: Watch) -> Analysis:
    """The analysis that a body of POST /v1/analyses asks for. Raises ClientError."""
    done = submit(server, ANALYSES, body, watch)
    return server.get(f"{ANALYSES}/{done.id}/document").read(Analysis)


def outline_of(server: Server, model: str) -> Outline:
    """What a model holds. Raises ClientError."""
    while True:
        answer = server.get(MODEL_INFO, model=model)
        found = answer.read(Envelope)
        check(found)
        if found.outline is not None:
            break
        time.sleep(answer.pause)
    try:
        return Outline.model_validate_json(json.dumps(found.outline))
    except ValidationError as error:
        raise another_version(server.url, error) from error
