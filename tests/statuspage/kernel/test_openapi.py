"""The OpenAPI document says what the routes do, all of it and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from statuspage.app import manage_operations
from statuspage.kernel.house import House
from statuspage.kernel.openapi import document
from statuspage.kernel.rest import LIMITS, Rest
from statuspage.kernel.tokens import Scope
from tests.documentation import MANAGEMENT, management

OPERATIONS = manage_operations()
DOCUMENT = document(OPERATIONS, "http://status.example/api/manage/v1")
METHODS = {"get", "post", "put", "delete", "patch"}


def documented() -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method in METHODS
    }


def test_every_route_is_in_the_document_and_the_reverse(house: House) -> None:
    routes = Rest(house, OPERATIONS, LIMITS).routes()
    served = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert served - {("GET", "/openapi.json")} == documented()


def test_names_are_given_once_and_reading_needs_another_scope_than_changing() -> None:
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        assert (operation.scope is Scope.READ) == (operation.method == "GET"), operation.name


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


GIVEN = sorted({operation.body for operation in OPERATIONS if operation.body}, key=lambda body: body.__name__)


@pytest.mark.parametrize("name", [body.__name__ for body in GIVEN])
def test_what_may_be_said_is_bounded_in_every_field(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert schema["additionalProperties"] is False
    for field, said in schema["properties"].items():
        for each in said.get("anyOf", [said]):
            if each.get("type") == "string":
                assert {"pattern", "format"} & set(each), f"{name}.{field}"
            if each.get("type") == "array":
                assert "maxItems" in each, f"{name}.{field}"
            if each.get("type") == "object":
                assert "maxProperties" in each, f"{name}.{field}"
            if each.get("type") in ("number", "integer"):
                assert "maximum" in each, f"{name}.{field}"


def test_the_page_in_docs_lists_every_operation() -> None:
    assert MANAGEMENT.read_text(encoding="utf-8") == management(), "run: make docs"


def test_every_error_is_described_as_a_problem() -> None:
    for item in DOCUMENT["paths"].values():
        for described in item.values():
            refused = {code for code in described["responses"] if not code.startswith("2")}
            assert {"400", "401", "403", "404", "422", "429", "503"} <= refused
    for answer in DOCUMENT["components"]["responses"].values():
        assert list(answer["content"]) == ["application/problem+json"]


def test_a_path_parameter_is_declared_with_its_pattern() -> None:
    for path, item in DOCUMENT["paths"].items():
        for described in item.values():
            declared = {p["name"] for p in described.get("parameters", ()) if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
