"""What an operator learns of operations, and what clients cannot make of it."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from graphql import OperationDefinitionNode, build_schema, parse
from prometheus_client import REGISTRY, Histogram

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.document import Persisted
from graph.endpoint.execution.monitor import BURST, INTERVAL, shape
from graph.endpoint.observe import OperationMetrics, OperationNames, Tally
from graph.endpoint.observe.metrics import observe_all
from graph.endpoint.observe.operations import OTHER, UNNAMED
from graph.patterns.broker import Broker
from graph.server.http_express import HttpProtocol
from harness.waiting import HANG, until
from tests.support.apps.answers import AnswersApp
from tests.support.apps.live import LiveApp
from tests.support.apps.serving import serving
from tests.support.apps.small import Scene, make_admission, make_endpoint, make_schema
from tests.support.clients.browser import browse
from tests.support.clients.raw_http import Connection
from tests.support.clients.streamed import Body
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from graph.patterns.client import Client


def counted(name: str, **labels: str) -> float:
    """What a sample stands at."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def answers(operation: str, source: str = "executed") -> float:
    """How many answers to `operation` were counted."""
    return counted("graph_operation_seconds_count", operation=operation, source=source)


async def test_an_operation_is_counted_under_its_name(client: Client) -> None:
    """Its answers, its errors by their codes, and what it cost; one without a name as one without a name."""
    before, costs = answers(UNNAMED), counted("graph_operation_cost_count")
    async with browse(make_endpoint(client)) as http:
        await http.ask("query MonitorHello { hello }")
        await http.ask("query MonitorHello { hello forbidden }")
        await http.ask("{ hello }")
    assert answers("MonitorHello") == 2
    assert counted("graph_operation_errors_total", operation="MonitorHello", code="FORBIDDEN") == 1
    assert answers(UNNAMED) == before + 1
    assert counted("graph_operation_cost_count") == costs + 3


async def test_what_does_not_run_takes_no_name(client: Client) -> None:
    """A document that is refused for what it says, or because its caller is over the limit, makes no time series."""
    async with browse(make_endpoint(client, limits={"anonymous": 1})) as http:
        assert (await http.ask("query MonitorWrong { nothing }")).json()["errors"]
        assert (await http.ask("query MonitorLate { hello }")).status_code == 429
    told = {sample.labels.get("operation") for metric in REGISTRY.collect() for sample in metric.samples}
    assert told & {"MonitorWrong", "MonitorLate"} == set()


async def test_clients_cannot_make_time_series_at_will(client: Client) -> None:
    """However many names callers make up, only the first few are told apart, and one caller takes a quarter of them."""
    others = answers(OTHER)
    metrics = OperationMetrics(OperationNames(8))
    async with browse(make_endpoint(client, metrics=metrics)) as http:
        for n in range(50):
            await http.ask(f"query MonitorA{n} {{ hello }}", headers={"authorization": "Bearer mallory"})
        for n in range(50):
            await http.ask(f"query MonitorB{n} {{ hello }}", headers={"authorization": f"Bearer friend{n}"})
        await http.ask("query MonitorA0 { hello }")
    told = {
        sample.labels["operation"]
        for metric in REGISTRY.collect()
        if metric.name == "graph_operation_seconds"
        for sample in metric.samples
    }
    assert {name for name in told if name.startswith("MonitorA")} == {"MonitorA0", "MonitorA1"}
    assert {name for name in told if name.startswith("MonitorB")} == {f"MonitorB{n}" for n in range(6)}
    assert answers("MonitorA0") == 2
    assert answers(OTHER) == others + 48 + 44


async def test_names_of_trusted_documents_are_always_told_apart(client: Client) -> None:
    """What an operator has declared is counted under its name, full or not."""
    trusted = "query MonitorTrusted { hello }"
    endpoint = make_endpoint(
        client, metrics=OperationMetrics(OperationNames(0)), persisted=Persisted(client, trusted={"one": trusted})
    )
    async with browse(endpoint) as http:
        await http.ask(trusted)
        await http.ask("query MonitorStranger { hello }")
    assert (answers("MonitorTrusted"), answers("MonitorStranger")) == (1, 0)


async def test_codes_of_errors_are_bounded_too() -> None:
    """A resolver that makes up a code for each error does not make a time series for each."""
    metrics = OperationMetrics()
    for n in range(200):
        metrics.refused("MonitorCodes", [f"CODE_{n}"])
    assert counted("graph_operation_errors_total", operation="MonitorCodes", code="CODE_0") == 1
    assert counted("graph_operation_errors_total", operation="MonitorCodes", code="CODE_199") == 0
    assert counted("graph_operation_errors_total", operation="MonitorCodes", code=OTHER) == 200 - 64


async def test_kept_answers_are_counted_wherever_they_are_given(client: Client, expressed: list[bool]) -> None:
    """By the lane, and for requests that are recognised before they are parsed."""
    truth = Truth()
    truth.versions["a"] = 1
    metrics = OperationMetrics()
    tally = Tally("/graphql", "/graphql", None, metrics)
    app = AnswersApp(client, truth, express=True, tally=tally, metrics=metrics)
    text = 'query MonitorThing { thing(key: "a") { version } }'
    app.endpoint.engine.operations.prepare(text)
    body = b'{"query": "%b"}' % text.replace('"', '\\"').encode()
    request = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    state = {"graph.express": app.endpoint.express}
    async with serving(app.endpoint, http=HttpProtocol, state=state) as port, Connection(port) as connection:
        await connection.ask(request % (len(body), body), 8)
        await until(lambda: answers("MonitorThing", "kept") == 7)
    assert answers("MonitorThing") == 1
    assert sum(expressed) >= 3
    await app.close()


async def test_events_of_subscriptions_are_counted(client: Client) -> None:
    """One for each event that is executed, whether a client has the subscription for itself or shares it."""
    accept = {"accept": "text/event-stream"}
    admission = make_admission(client)
    own = GraphQLEndpoint(
        make_schema(), admission=admission, context=lambda caller, _, response: Scene(caller, response)
    )
    async with own, browse(own) as http:
        await http.ask("subscription MonitorCount { count(to: 3) }", headers=accept)
    assert answers("MonitorCount", "event") == 3
    async with Broker(client) as broker:
        app = LiveApp(client, broker, anonymous=20)
        async with serving(app.endpoint) as port, httpx.AsyncClient(timeout=HANG) as http:
            body = {"query": "subscription MonitorNews { news { text } }"}
            url = f"http://127.0.0.1:{port}/graphql"
            async with http.stream("POST", url, json=body, headers=accept) as response:
                await until(lambda: app.sources == 1)
                await app.publish("hello")
                await Body(response).until(b"hello")
                await until(lambda: answers("MonitorNews", "event") == 1)
        await app.streams.close()


def test_many_values_are_observed_as_each_alone() -> None:
    """`observe_all` leaves a histogram as that many calls of `observe` would, bounds and infinity included."""
    values = [0.0, 0.1, 0.1000001, 0.25, 0.3, 5.0, 5.0, 1e9]
    one, other = (
        Histogram(name, "…", buckets=(0.1, 0.25, 5), registry=None) for name in ("monitor_one", "monitor_two")
    )
    for value in values:
        one.observe(value)
    observe_all(other, values)

    def found(histogram: Histogram) -> list[Any]:
        (metric,) = histogram.collect()
        return [(sample.labels, sample.value) for sample in metric.samples if not sample.name.endswith("_created")]

    assert found(one) == found(other)


# --- slow operations ---


async def test_a_slow_operation_is_logged_without_its_values(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Its name, its document's hash, and the types of its variables; nothing of what the client put into them."""
    caplog.set_level(logging.INFO, "graph.slow")
    text = "query MonitorSlow($text: String) { echo(text: $text) }"
    async with browse(make_endpoint(client, slow=1e-9)) as http:
        await http.ask(text, variables={"text": "hunter2", "x": 1})
    (record,) = caplog.records
    facts = vars(record)["facts"]
    assert facts["operation"] == "MonitorSlow"
    assert facts["document"] == hashlib.sha256(text.encode()).hexdigest()
    assert facts["variables"] == '{"text":"String"}'
    assert "hunter2" not in f"{record.getMessage()} {facts}"
    assert counted("graph_operations_slow_total", operation="MonitorSlow") == 1


async def test_nothing_is_logged_of_operations_that_are_quick(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Nor of any where the setting is 0."""
    caplog.set_level(logging.INFO, "graph.slow")
    async with browse(make_endpoint(client, slow=1e9)) as http:
        await http.ask("query MonitorQuick { hello }")
    async with browse(make_endpoint(client)) as http:
        await http.ask("query MonitorQuick { hello }")
    assert caplog.records == []
    assert counted("graph_operations_slow_total", operation="MonitorQuick") == 0


async def test_clients_cannot_fill_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Of many slow operations a few are logged; the next line says how many were not."""
    caplog.set_level(logging.INFO, "graph.slow")
    endpoint = make_endpoint(client, slow=1e-9)
    now = [1000.0]
    endpoint.engine.monitor._clock = lambda: now[0]
    async with browse(endpoint) as http:
        for _ in range(BURST + 25):
            await http.ask("query MonitorFlood { hello }")
        assert len(caplog.records) == BURST
        now[0] += INTERVAL
        await http.ask("query MonitorFlood { hello }")
        await http.ask("query MonitorFlood { hello }")
    assert len(caplog.records) == BURST + 1
    assert "25 more" in caplog.records[-1].getMessage()
    assert counted("graph_operations_slow_total", operation="MonitorFlood") == BURST + 27


SHAPES = build_schema("""
  scalar JSON
  enum Colour { RED }
  input Inner { deep: Inner, secret: String }
  input Filter { text: String!, colours: [Colour!], inner: Inner, any: JSON }
  type Query { find(filter: Filter, ids: [[ID!]!], any: JSON, first: Int!): Int }
""")


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        ("$n: Int!", {"n": 7, "other": 1}, {"n": "Int"}),
        ("$n: Int", {"n": None}, {"n": "null"}),
        ("$n: Int", {}, {}),
        ("$any: JSON", {"any": {"alice@example.com": 1}}, {"any": "JSON"}),
        ("$ids: [[ID!]!]", {"ids": [["a", "b"], []]}, {"ids": {"list of 2": {"list of 2": "ID"}}}),
        ("$ids: [ID!]", {"ids": []}, {"ids": {"list of 0": "ID!"}}),
        ("$ids: [ID!]", {"ids": "one"}, {"ids": {"list of 1": "ID"}}),
        (
            "$f: Filter",
            {"f": {"text": "hunter2", "colours": ["RED"], "any": {"k": 1}, "bogus": "hunter2"}},
            {"f": {"text": "String", "colours": {"list of 1": "Colour"}, "any": "JSON"}},
        ),
        ("$f: Filter", {"f": "hunter2"}, {"f": "Filter"}),
        (
            "$f: Inner",
            {"f": {"deep": {"deep": {"deep": {"deep": {"secret": "hunter2"}}}}}},
            {"f": {"deep": {"deep": {"deep": {"deep": "Inner"}}}}},
        ),
        ("$n: Nothing", {"n": 1}, {"n": "?"}),
    ],
)
def test_the_shape_of_variables_is_types_alone(declared: str, given: dict[str, Any], expected: object) -> None:
    """No value, and no key that the schema does not know, however the value is made."""
    (operation,) = parse(f"query ({declared}) {{ find }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert shape(SHAPES, operation, given) == expected
