"""The OpenAPI document: committed, and complete enough to make clients and attacks from."""

import re
import sys

import pytest
import schemathesis

from service.problems import TITLES
from tests.deployment.compose import ROOT


@pytest.fixture
def document(api):
    return api.http.get("/openapi.json").json()


def operations(document):
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def resolved(document, response):
    name = response.get("$ref", "").rpartition("/")[2]
    return document["components"]["responses"][name] if name else response


def test_the_committed_one_is_that_of_the_code():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from write_schemas import OPENAPI, openapi_text
    finally:
        sys.path.pop(0)
    assert OPENAPI.read_text() == openapi_text(), "run `make schema`"


def test_another_program_reads_it(document):
    assert document["openapi"].startswith("3.1")
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    assert len(list(schema.get_all_operations())) == len(operations(document))


def test_every_operation_has_a_name_of_its_own(document):
    names = [operation["operationId"] for *_, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)
    for *_, operation in operations(document):
        assert operation["tags"]
        assert operation["description"]


def test_every_operation_describes_every_error_as_a_problem(document):
    statuses = {str(status) for status, _ in TITLES.values()} - {"405"}
    for method, path, operation in operations(document):
        described = {
            status: resolved(document, response)
            for status, response in operation["responses"].items()
            if status.startswith(("4", "5"))
        }
        expected = statuses if path.startswith("/v1/") else {"400", "413", "415", "500", "503"}
        assert expected <= described.keys(), (method, path)
        for status, response in described.items():
            if (path, status) == ("/readyz", "503"):
                continue
            ((media_type, content),) = response["content"].items()
            assert media_type == "application/problem+json"
            assert content["schema"]["$ref"].endswith("/ProblemDocument")
            assert content["example"]["status"] == int(status)
    assert "HTTPValidationError" not in str(document)


def test_keys_are_asked_for_below_v1(document):
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for _, path, operation in operations(document):
        assert ("security" in operation) == path.startswith("/v1/")


def test_bodies_and_envelopes_have_examples(document):
    schemas = document["components"]["schemas"]
    for name in ("PlanRequest", "AnalysisRequest", "Envelope", "PlanEnvelope", "Event"):
        assert schemas[name]["examples"], name
