"""The OpenAPI 3.1 document of the management API, from the same declarations as its routes."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from statuspage import __version__
from statuspage.kernel.operations import ETAG, ID, Given, Operation, Shown
from statuspage.kernel.problems import MEDIA_TYPE, Problem
from statuspage.kernel.reading import KEY

_PATTERNS = {"code": "^[A-Z0-9-]{1,60}$", "number": "^[0-9]{1,9}$"}
_PARAMETER = re.compile(r"\{(\w+)\}")
_REASONS = {
    "400": "The request does not follow this document; `errors` names the field.",
    "401": "No token, or not a good one.",
    "403": "The token's scopes do not suffice, or a second person has to publish this.",
    "404": "There is no such thing.",
    "409": "The state has moved on; `current` is what stands there now.",
    "412": "If-Match names another version than `current`.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "It follows this document and yet cannot be: an unknown service, a time past.",
    "428": "If-Match is needed.",
    "429": "Too many requests; see Retry-After.",
    "503": "A fault of ours that passes; see Retry-After.",
}


def document(operations: Sequence[Operation], server: str) -> dict[str, Any]:
    """The whole document; `server` is the API's root."""
    kinds = {Problem, *(kind for op in operations for kind in (op.body, op.answer) if kind is not None)}
    queries = [op.query for op in operations if op.query is not None]
    ordered: list[type[Given] | type[Shown]] = [*sorted(kinds, key=lambda kind: kind.__name__), *queries]
    _, schemas = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    of_queries = {kind.__name__: schemas.pop(kind.__name__) for kind in dict.fromkeys(queries)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, of_queries)
        if links := _links(operation, operations):
            described["responses"][str(operation.status)]["links"] = links
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Status page management API",
            "version": __version__,
            "description": "What the operators' console does, for programs. See docs/management-api.md.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                code: {
                    "description": reason,
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for code, reason in _REASONS.items()
            },
        },
    }


def _operation(operation: Operation, of_queries: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.path.split("/")[1]],
        "security": [{"token": [operation.scope.value]}],
        "responses": _responses(operation),
    }
    if parameters := [*_path_parameters(operation), *_query(operation, of_queries), *_headers(operation)]:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(operation.body)}},
        }
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        good["content"] = {"application/json": {"schema": _reference(operation.answer)}}
    if operation.is_versioned:
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "For If-Match."}}
    codes = ["400", "401", "403", "404", "422", "429", "503"]
    if operation.method != "GET":
        codes += ["409", "413"]
        codes += ["412"] if operation.takes_if_match else []
        codes += ["428"] if operation.needs_version else []
    if operation.body is not None:
        codes.append("415")
    refused = {code: {"$ref": f"#/components/responses/{code}"} for code in sorted(codes)}
    return {str(operation.status): good, **refused}


def _links(maker: Operation, operations: Sequence[Operation]) -> dict[str, Any]:
    """What can be done next with the thing that was made."""
    if maker.status != 201 or "{" in maker.path:
        return {}
    return {
        operation.name: {"operationId": operation.name, "parameters": {"id": "$response.body#/id"}}
        for operation in operations
        if operation.path.startswith(f"{maker.path}/{{id}}")
    }


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _pattern(name)},
        }
        for name in _PARAMETER.findall(operation.path)
    ]


def _pattern(name: str) -> str:
    return _PATTERNS.get(name, ID)


def _query(operation: Operation, of_queries: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = of_queries[operation.query.__name__]
    found = []
    for name, of_field in schema["properties"].items():
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _said_or_not(of_field),
        }
        if of_field.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        found.append(parameter)
    return found


def _said_or_not(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: a parameter is given or left out."""
    if "anyOf" not in schema:
        return schema
    (said,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    return dict(said)


def _headers(operation: Operation) -> list[dict[str, Any]]:
    found = []
    if operation.method == "POST":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key with the same request repeats the answer for 24 hours, and has no effect.",
                "schema": {"type": "string", "pattern": KEY},
            }
        )
    if operation.takes_if_match:
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": operation.needs_version,
                "description": "The ETag of the version that is meant.",
                "schema": {"type": "string", "pattern": ETAG},
            }
        )
    return found


def _reference(kind: type[Any]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
