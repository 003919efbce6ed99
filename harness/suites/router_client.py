"""The client with which Strawberry's suite speaks to a view, in front of `FastGraphQL`."""

from __future__ import annotations

import importlib
import os
from copy import copy
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.testclient import TestClient
from strawberry import UNSET
from strawberry.exceptions import ConnectionRejectionError
from strawberry.extensions import SchemaExtension
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_WS_PROTOCOL

from graph.endpoint import Bounds, SocketLimits
from graph.endpoint.websocket import connection_params
from graph.library import FastGraphQL

if TYPE_CHECKING:
    from collections.abc import Iterator


def router_client(base: type[Any]) -> type[Any]:
    """A class with the methods of the suite's own client `base`.

    Its requests say that no foreign page has sent them, as a GET and a form need here.
    """

    def construct(self: Any, schema: Any, **options: Any) -> None:
        override = options.get("result_override")
        if override is not None:
            schema = copy(schema)
            schema.extensions = [*schema.extensions, _overriding(override)]
        self.client = TestClient(_application(schema, options), headers={"GraphQL-Require-Preflight": "1"})

    return type("RouterClient", (base,), {"__init__": construct})


def _application(schema: Any, options: dict[str, Any]) -> FastAPI:
    views: Any = importlib.import_module("tests.views.schema")
    contexts: Any = importlib.import_module("tests.http.context")

    async def context(connection: HTTPConnection) -> dict[str, Any]:
        made: dict[str, Any] = contexts.get_context({"request": connection})
        del made["request"]
        return made

    def on_ws_connect(_caller: Any, connection: Any, payload: Any) -> Any:
        return _answer_connect(dict(payload), connection)

    timeout = options.get("connection_init_wait_timeout")
    most = options.get("max_subscriptions_per_connection", 100)
    sockets = SocketLimits(
        init_timeout=60.0 if timeout is None else timeout.total_seconds(),
        operations=1_000_000 if most is None else most,
    )
    protocols = options.get("subscription_protocols", [GRAPHQL_TRANSPORT_WS_PROTOCOL])
    protocols = [one for one in protocols if one != GRAPHQL_WS_PROTOCOL]
    router = FastGraphQL(
        schema,
        context_getter=context,
        root_value_getter=views.Query,
        on_ws_connect=on_ws_connect,
        bounds=Bounds.trusted(
            batch=1 if schema.config.batching_config is None else 50,
            files=10 if options.get("multipart_uploads_enabled") else 0,
            queries_by_get=options.get("allow_queries_via_get", True),
        ),
        sockets=sockets,
        subscription_protocols=protocols,
        as_strawberry=os.environ.get("SUITE_DEFAULTS") != "1",
        graphiql=options.get("graphql_ide", "graphiql") == "graphiql",
    )
    app = FastAPI()
    app.include_router(router, prefix="/graphql")
    return app


def _answer_connect(params: dict[str, Any], connection: Any) -> Any:
    """What the suite's own views do with a ``connection_init``."""
    if params.get("test-reject"):
        if "err-payload" in params:
            raise ConnectionRejectionError(params["err-payload"])
        raise ConnectionRejectionError
    if params.get("test-accept"):
        return params.get("ack-payload", UNSET)
    if params.get("test-modify"):
        told = connection_params(connection)
        assert isinstance(told, dict)
        told["modified"] = True
    return UNSET


def _overriding(override: Any) -> type[SchemaExtension]:
    """The extension that does what an override of ``process_result`` does in Strawberry's views."""

    class Override(SchemaExtension):
        def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
            yield
            result: Any = self.execution_context.result
            if result is not None:
                result.data = override(result).get("data")

    return Override
