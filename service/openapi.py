"""The OpenAPI 3.1 document: one problem response for every error, security, and examples."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.problems import MEDIA_TYPE, ProblemDocument, example

METHODS = ("get", "post", "delete")
BEARER = {"type": "http", "scheme": "bearer", "description": "an API key, `tlr_…`"}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an app, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        components = document["components"]
        components["securitySchemes"] = {"key": BEARER}
        components["responses"] = {}
        for path, methods in document["paths"].items():
            for operation in methods.values():
                if path.startswith("/v1/"):
                    operation["security"] = [{"key": []}, {}]
                _name_problems(operation["responses"], components["responses"])
        app.openapi_schema = document
    return app.openapi_schema


def _name_problems(responses: dict[str, Any], named: dict[str, Any]) -> None:
    """Errors are one response each, which operations refer to; their bodies are problems only."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    for status, response in list(responses.items()):
        if status.startswith(("4", "5")) and MEDIA_TYPE in response.get("content", {}):
            content = {MEDIA_TYPE: {"schema": schema, "example": example(int(status))}}
            named[f"Problem{status}"] = {"description": response["description"], "content": content}
            responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
