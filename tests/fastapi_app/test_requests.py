"""Whatever is asked: no mistake of the server's, and each answer as OpenAPI announced it."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, ManualClock
from ladderpipe.fastapi import router
from ladderpipe.problems import MEDIA_TYPE
from ladderpipe.templates import sales_management
from tests.board_app.clients import Client
from tests.fastapi_app.conftest import NINE, signed_in

LADDER = sales_management("en")
DEALS = ["cart-1", "cart/2", "nobody"]
INSTANTS = [NINE, "2026-03-01T23:00:00+01:00", "2026-03-02t08:59:59.5z", "2027-01-01T00:00:00Z"]
KNOWN: dict[str, list[Any]] = {
    "deal": DEALS,
    "id": ["1", "2", "3"],
    "type": ["cart.item_added", "checkout.started", "order.confirmed", "cart.saved", "x"],
    "into": [stage.key for stage in LADDER.stages],
    "expecting": [stage.key for stage in LADDER.stages],
    "properties": [{"loss_reason": "price"}, {}],
    "line": [{"sku": "A", "quantity": 1, "unit_price": "1.00"}],
    "currency": ["EUR", "USD"],
    "data": [
        {},
        {"line": {"sku": "A", "quantity": 2, "unit_price": "9.90"}, "currency": "EUR"},
        {"line": {"sku": "A", "quantity": -1}, "contact": {"email": "ada@example.com"}},
        {"contact": "nobody"},
    ],
}
"""What a client that knows the shop would say, so that not every request is refused."""


def served(request: Request) -> Board:
    found: Board = request.app.state.board
    return found


@functools.cache
def application() -> FastAPI:
    app = FastAPI()
    app.include_router(router(served, actor=signed_in))
    return app


def document() -> dict[str, Any]:
    return application().openapi()


EVENTS = ("post", "/events", document()["paths"]["/events"]["post"])
OPERATIONS = [
    (method, path, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def of_schema(schema: dict[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """Return values that a schema announces, the likely ones more often."""
    if "$ref" in schema:
        return of_schema(document()["components"]["schemas"][schema["$ref"].split("/")[-1]], name)
    if "anyOf" in schema:
        return st.one_of([of_schema(each, name) for each in schema["anyOf"]])
    plain = _of_type(schema)
    known = st.sampled_from(KNOWN[name]) if name in KNOWN else plain
    return st.one_of(known, known, known, plain)


def _of_type(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        return st.sampled_from(INSTANTS)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    match schema.get("type"):
        case "object":
            told = schema.get("properties", {})
            needed = set(schema.get("required", ()))
            parts = {name: of_schema(each, name) for name, each in told.items()}
            return st.fixed_dictionaries(
                {name: each for name, each in parts.items() if name in needed},
                optional={name: each for name, each in parts.items() if name not in needed},
            )
        case "array":
            return st.lists(of_schema(schema["items"]), max_size=3)
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=20)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return JSON


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, str, dict[str, Any]]:
    """Return a request that an application announces, now and then one that it does not."""
    method, path, operation = draw(st.just(EVENTS) | st.sampled_from(OPERATIONS))
    query, headers = {}, {"Content-Type": "application/json"}
    for told in operation.get("parameters", ()):
        value = draw(of_schema(told["schema"], told["name"]))
        if told["in"] == "path":
            address = path.replace(f"{{{told['name']}}}", quote(value, safe="", errors="replace"))
        elif told["in"] == "query" and value is not None and draw(st.booleans()):
            query[told["name"]] = (
                value if isinstance(value, int) else value.encode(errors="replace")
            )
        elif told["in"] == "header" and value is not None:
            headers[told["name"]] = quote(value, errors="replace")
    if "{" not in path:
        address = path
    sent: dict[str, Any] = {"params": query, "headers": headers}
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = draw(st.one_of([of_schema(schema)] * 5 + [JSON]))
        sent["content"] = json.dumps(body).encode()
    return method, path, address, sent


def check_answer(method: str, path: str, response: Any) -> None:
    """Hold an answer to what was announced: its status, its kind, and each part of it."""
    answers = document()["paths"][path][method]["responses"]
    told = answers.get(str(response.status_code))
    assert told, f"{response.status_code} is not announced: {response.text}"
    kind = response.headers["content-type"]
    assert kind == ("application/json" if response.is_success else MEDIA_TYPE)
    schema = {**told["content"][kind]["schema"], "components": document()["components"]}
    jsonschema.Draft202012Validator(schema).validate(response.json())


@given(st.lists(requests(), min_size=1, max_size=12))
def test_every_answer_is_as_it_was_announced(
    asked: list[tuple[str, str, str, dict[str, Any]]],
) -> None:
    app = application()
    app.state.board = Board(LADDER, clock=ManualClock(NINE))
    with Client(app) as client:
        for method, path, address, sent in asked:
            response = client.request(method.upper(), address, **sent)
            assert response.status_code < 500, response.text
            check_answer(method, path, response)


def test_what_is_announced_is_openapi() -> None:
    """Each schema is one, every reference leads somewhere, and each route has its refusals."""
    found = document()
    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(found)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(found["components"]["schemas"])
    assert {"Deal", "History", "Receipt", "Explanation", "Option", "Page", "StageTotal"} <= names
    assert "HTTPValidationError" not in names
    for _, path, operation in OPERATIONS:
        assert operation["description"].startswith(operation["summary"]), path
        assert operation["description"], path
        refusals = {s for s in operation["responses"] if s >= "4"}
        assert {"422", "503"} <= refusals
        assert all(list(operation["responses"][s]["content"]) == [MEDIA_TYPE] for s in refusals)


@pytest.mark.parametrize("name", ["Deal", "Event-Input", "Receipt", "Move", "Effect", "Option"])
def test_a_record_is_shown_with_its_fields_and_what_they_mean(name: str) -> None:
    schema = document()["components"]["schemas"][name]
    assert schema["title"] == name.removesuffix("-Input")
    assert sum("description" in told for told in schema["properties"].values()) >= 2
    instants = [n for n in schema["properties"] if n == "at" or n.endswith("_at")]
    assert all('"date-time"' in json.dumps(schema["properties"][n]) for n in instants)
