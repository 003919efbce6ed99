"""Methods of Strawberry's views that somebody overrides in a class of ours, where nobody would call them: refused."""

from __future__ import annotations

from strawberry.http.async_base_view import AsyncBaseHTTPView

INSTEAD = {
    "get_context": "pass `context=` (`context_getter=` of FastGraphQL)",
    "get_root_value": "pass `root_value=` (`root_value_getter=` of FastGraphQL)",
    "on_ws_connect": "pass `on_ws_connect=`",
    "process_result": "change the result in a schema extension",
    "encode_json": "answers are JSON by orjson",
    "encode_json_string": "answers are JSON by orjson",
    "decode_json": "requests are JSON by orjson",
    "parse_json": "requests are JSON by orjson",
    "render_graphql_ide": "pass `page=` (`graphiql=` of FastGraphQL)",
    "graphql_ide": "pass `page=` (`graphiql=` of FastGraphQL)",
    "graphql_ide_html": "pass `page=` (`graphiql=` of FastGraphQL)",
    "should_render_graphql_ide": "pass `page=` (`graphiql=` of FastGraphQL)",
    "get_sub_response": "what resolvers set on the response of the context is sent",
    "create_response": "what resolvers set on the response of the context is sent",
    "create_streaming_response": "what resolvers set on the response of the context is sent",
    "execute_operation": "put what it does into a schema extension",
    "execute_single": "put what it does into a schema extension",
    "run": "wrap the endpoint in an ASGI middleware",
    "allow_queries_via_get": "pass `bounds=Bounds(queries_by_get=False)`",
    "allowed_origins": "pass `origins=`",
    "is_websocket_origin_allowed": "pass `origins=`",
    "protocols": "pass `subscription_protocols=`",
    "websocket_subprotocols": "pass `subscription_protocols=`",
    "connection_init_wait_timeout": "pass `sockets=SocketLimits(init_timeout=…)`",
    "max_subscriptions_per_connection": "pass `sockets=SocketLimits(operations=…)`",
    "multipart_uploads_enabled": "files are taken if the schema has `Upload`, as many as `Bounds(files=…)` says",
    "keep_alive": "quiet streams always show signs of life",
    "keep_alive_interval": "quiet streams always show signs of life",
}
"""What people override, or pass to Strawberry's router, and what to do here."""

_OTHERWISE = "docs/library.md says what becomes of Strawberry's features"
_NOT_CALLED = {name: INSTEAD.get(name, _OTHERWISE) for name in dir(AsyncBaseHTTPView) if name[0] != "_"} | INSTEAD


def refuse_overrides(made: type, ours: type) -> None:
    """Raise `TypeError` if `made`, a subclass of `ours`, has one of them, its own or another base's."""
    for base in made.__mro__:
        if base in ours.__mro__:
            continue
        for name in _NOT_CALLED.keys() & vars(base).keys():
            raise TypeError(
                f"{made.__name__} overrides `{name}`, which the endpoint does not call: {_NOT_CALLED[name]}."
            )
