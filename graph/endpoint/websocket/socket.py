"""GraphQL over WebSocket: the graphql-transport-ws protocol to the letter, bounded.

Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Subscriptions, queries and mutations run side
by side on one socket; each gets a fresh context, and its caller is checked anew before it starts. When a session ends
its socket is closed (4403), running subscriptions with it.

Close codes: 4400 a message that is not of the protocol, 4401 an operation before the acknowledgement, 4403 the session
ended or the connection was refused, 4406 no common subprotocol, 4408 no connection_init in time, 4409 an operation id
in use, 4429 a second connection_init, 4499 no pong in time, 1009 a message above the size limit, 1011 a bug in
`on_connect` or in the authenticator, 1012 the server stops, 1013 the session cannot be checked for it. A refused
operation, one whose members make no sense among them, is an ``error`` message and leaves the socket and its other
operations alone. Documents may be named by ``documentId`` or hash, as over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import orjson
from starlette.requests import HTTPConnection

from graph.endpoint.document import OperationRequest, is_shallow, parse_operation
from graph.endpoint.errors import Refusal
from graph.endpoint.observe import NoTracing, carried
from graph.endpoint.subscriptions import Outlet, PiecesFormat, TextOutlet, errors_json, refused
from graph.endpoint.websocket.connecting import BrokenProtocol, Greeter, note_params
from graph.endpoint.websocket.limits import SocketLimits
from graph.endpoint.websocket.operation import SocketOperation
from graph.endpoint.websocket.unspoken import refuse_socket
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

    from graph.endpoint.identity import Authenticator, Caller
    from graph.endpoint.observe import Tracing
    from graph.endpoint.subscriptions import Runner
    from graph.endpoint.websocket.connecting import OnConnect

SUBPROTOCOL = "graphql-transport-ws"

WRITE_TEXT = "graph.write_text"
"""Where the scope of a socket holds the server's `subscriptions.WriteText`, if it has one."""


class WebSockets:
    """Accepts sockets and speaks the protocol on each until it ends."""

    def __init__(
        self,
        runner: Runner,
        authenticator: Authenticator,
        limits: SocketLimits | None = None,
        *,
        on_connect: OnConnect | None = None,
        tracing: Tracing | None = None,
        null_payload: bool = False,
    ) -> None:
        """Run operations with `runner`, as the callers that `authenticator` finds; `on_connect` may refuse a socket.

        `tracing` makes their spans. With `null_payload` an `on_connect` that returns None acknowledges with null.
        """
        self.greeter = Greeter(on_connect, null=null_payload)
        self.runner = runner
        self.tracing = tracing or NoTracing()
        self.authenticator = authenticator
        self.limits = limits or SocketLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket as an ASGI application."""
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            await refuse_socket(receive, send)
            return
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        await _Socket(self, HTTPConnection(scope), receive, send).serve()


class _Socket:
    """One accepted socket."""

    def __init__(self, server: WebSockets, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        self.runner = server.runner
        self.connection = connection
        self.limits = server.limits
        write, most = connection.scope.get(WRITE_TEXT), 2 * self.limits.operations
        self.outlet = TextOutlet(send, write, most=most) if write is not None else Outlet(send, most=most)
        self.operations: dict[str, SocketOperation] = {}
        self._authenticator = server.authenticator
        self._greeter = server.greeter
        self._tracing = server.tracing
        self._receive = receive
        self._send = send
        self._payload: dict[str, Any] | None = None
        self._signed_in = False
        self._initialised = False
        self._acknowledged = False
        self._closing: BrokenProtocol | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unwatch: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()

    # --- life ---

    async def serve(self) -> None:
        """Handle messages until either side ends the socket; leave nothing running."""
        self._task = asyncio.current_task()
        self._timer = self._loop.call_later(
            self.limits.init_timeout, self.end, 4408, "Connection initialisation timeout"
        )
        try:
            while (message := await self._receive())["type"] == "websocket.receive":
                await self._handle(message)
                await self.outlet.room.wait()  # do not read from a client that does not read its answers
        except BrokenProtocol as error:
            self._closing = error
        except asyncio.CancelledError:
            if self._closing is None:
                raise
            cast("asyncio.Task[Any]", self._task).uncancel()
        finally:
            self._timer.cancel()
            if self._unwatch is not None:
                self._unwatch()
            await self._stop_operations()
            await self.outlet.close()
        if self._closing is not None:
            await self._close(self._closing)

    async def _close(self, why: BrokenProtocol) -> None:
        # The client may have left or stopped reading: do not wait for it to take the close frame.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await self._send({"type": "websocket.close", "code": why.code, "reason": why.reason})

    def end(self, code: int, reason: str) -> None:
        """Close the socket from outside its own loop; the first reason counts."""
        if self._closing is None and self._task is not None:
            self._closing = BrokenProtocol(code, reason)
            self._task.cancel()

    async def _stop_operations(self) -> None:
        running = [operation.stop() for operation in list(self.operations.values())]
        self.operations.clear()
        if tasks := [task for task in running if task is not None and not task.done()]:
            await asyncio.wait(tasks)

    # --- messages ---

    async def _handle(self, received: Message) -> None:
        message = self._parse(received)
        match message.get("type"):
            case "subscribe":
                self._subscribe(message)
            case "complete":
                operation = self.operations.pop(_text(message, "id"), None)
                if operation is not None:
                    operation.stop()
            case "ping":
                payload = _object(message, "payload")
                await self._say({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case "pong":
                _object(message, "payload")
                if self._acknowledged:
                    self._await_ping()
            case "connection_init":
                await self._init(message)
            case _:
                raise BrokenProtocol(4400, "Unknown message type")

    def _parse(self, received: Message) -> dict[str, Any]:
        text = received.get("text")
        if text is not None and len(text) > self.limits.message_size:
            raise BrokenProtocol(1009, f"A message may have {self.limits.message_size} bytes")
        try:
            message = orjson.loads(text or "")
        except ValueError:
            raise BrokenProtocol(4400, "Messages are JSON text") from None
        if not isinstance(message, dict):
            raise BrokenProtocol(4400, "A message is a JSON object")
        parsed, most = cast("dict[str, Any]", message), self.limits.json_depth
        if text is not None and text.count("{") + text.count("[") > most and not is_shallow(parsed, most):
            raise BrokenProtocol(4400, f"JSON may be nested {most} deep")
        return parsed

    async def _init(self, message: dict[str, Any]) -> None:
        if self._initialised:
            raise BrokenProtocol(4429, "Too many initialisation requests")
        self._initialised = True
        self._payload = _object(message, "payload")
        note_params(self.connection, self._payload)
        caller: Caller | None = None
        try:
            caller = await self._authenticator.authenticate(self.connection, self._payload)
            self._watch(caller)
        except RedisUnavailable:
            pass  # each operation asks again, and says so then
        except Exception as error:  # noqa: BLE001 - whatever it is, the socket is closed for it
            self.runner.errors(error)  # logged
            raise BrokenProtocol(1011, "Internal server error") from None
        acknowledgement = await self._greeter.acknowledge(caller, self.connection, self._payload)
        self._await_ping()
        self._acknowledged = True
        await self._say(acknowledgement)

    def _watch(self, caller: Caller) -> None:
        if caller.signed_in and self._unwatch is None:
            self._signed_in = True
            self._unwatch = self._authenticator.watch(caller, lambda: self.end(4403, "The session has ended"))

    async def _say(self, message: dict[str, Any]) -> None:
        await self.outlet.send({"type": "websocket.send", "text": orjson.dumps(message).decode()})

    # --- keep-alive ---

    def _await_ping(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self.limits.ping_interval, self._ping)

    def _ping(self) -> None:
        # A client that is too slow to take a ping still has to answer it in time.
        self.outlet.offer({"type": "websocket.send", "text": '{"type":"ping"}'})
        self._timer = self._loop.call_later(self.limits.pong_timeout, self.end, 4499, "No pong in time")

    # --- operations ---

    def _subscribe(self, message: dict[str, Any]) -> None:
        if not self._acknowledged:
            raise BrokenProtocol(4401, "Unauthorized")
        key = _text(message, "id")
        payload = _object(message, "payload")
        if payload is None:
            raise BrokenProtocol(4400, "A subscribe message has a payload")
        if key in self.operations:
            raise BrokenProtocol(4409, f"Subscriber for {key} already exists")
        operation = SocketOperation(key, self.outlet, self.operations, self.limits.queue)
        self.operations[key] = operation
        if len(self.operations) > self.limits.operations:
            operation.error(
                errors_json("TOO_MANY_OPERATIONS", f"A socket runs at most {self.limits.operations} operations")
            )
            return
        try:
            request = parse_operation(payload)
        except Refusal as error:
            operation.error(refused(error))
            return
        operation.start(self._run(operation, request))

    async def _run(self, operation: SocketOperation, request: OperationRequest) -> None:
        with self._tracing.begin(carried(request.extensions)):
            await self._answer(operation, request)

    async def _answer(self, operation: SocketOperation, request: OperationRequest) -> None:
        try:
            caller = await self._authenticator.authenticate(self.connection, self._payload)
        except RedisUnavailable:
            operation.error(errors_json("UNAVAILABLE", "Sessions cannot be checked right now; try again shortly"))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client waits for the operation's end
            operation.error(self.runner.errors(error))
            return
        if self._signed_in and not caller.signed_in:
            self.end(4403, "The session has ended")
            return
        self._watch(caller)
        specified = (self._payload or {}).get("incrementalSpec") == "v0.2"
        form = PiecesFormat.SPECIFIED if specified else PiecesFormat.LEGACY
        operation.standing(await self.runner.run(request, caller, self.connection, operation, form))


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise BrokenProtocol(4400, f"'{name}' is a non-empty string")
    return value


def _object(message: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = message.get(name)
    if value is not None and not isinstance(value, dict):
        raise BrokenProtocol(4400, f"'{name}' is an object")
    return cast("dict[str, Any] | None", value)
