"""Schemathesis against the real server: operations of every shape that the product's schema allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from harness.serving import ROOT, Serving
from harness.waiting import HANG
from tests.support.engines.stocked import stocked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)
WORDS = st.text(st.characters(codec="utf-8"), max_size=20)

schemathesis.graphql.scalar("Decimal", st.one_of(st.decimals().map(str), WORDS).map(nodes.String))
schemathesis.graphql.scalar(
    "DateTime", st.one_of(st.datetimes().map(lambda at: f"{at.isoformat()}Z"), WORDS).map(nodes.String)
)
schemathesis.graphql.scalar("Cursor", WORDS.map(nodes.String))
schemathesis.graphql.scalar("Upload", WORDS.map(nodes.String))  # a file comes as a form; in a document it is refused


class Explorer:
    """Sends generated operations, signed in and not, and holds each answer to what every answer must be."""

    def __init__(self, url: str, password: str) -> None:
        self.asked = self.sessions = 0
        self._password = password
        self._http = httpx.Client(base_url=url, timeout=HANG)
        self._token = "none"

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def sign_in(self) -> None:
        """Be the first administrator from now on, unless logins have been too many: then go on as nobody."""
        if self._viewer() is not None:
            return
        login = 'mutation($p:String!){login(input:{email:"admin@example.com",password:$p}){...on AuthPayload{token}}}'
        answer = self._http.post("/graphql", json={"query": login, "variables": {"p": self._password}}).json()
        self._token = answer["data"]["login"].get("token", "none")
        self.sessions += self._token != "none"

    def _viewer(self) -> Any:
        headers = {"authorization": f"Bearer {self._token}"}
        answer = self._http.post("/graphql", json={"query": "{viewer{user{id}}}"}, headers=headers)
        return answer.json()["data"]["viewer"]

    def ask(self, query: str, *, signed_in: bool) -> None:
        """Send one operation and check its answer."""
        headers = {"authorization": f"Bearer {self._token}"} if signed_in else {}
        answer = self._http.post("/graphql", json={"query": query}, headers=headers)
        self.asked += 1
        assert answer.status_code < 500, (query, answer.text)
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        body: Any = answer.json()
        assert body.keys() & {"data", "errors"}, query
        for error in body.get("errors", ()):
            assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR", (query, error)


def test_no_operation_of_the_schema_makes_the_server_fail(tmp_path: Path, scaled: Callable[[int, int], int]) -> None:
    """Generated operations, hundreds of them with --full, are all answered below 500, and no bug is met on the way."""
    schema: Any = cast("Any", schemathesis.graphql).from_path(str(ROOT / "schema.graphql"))
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "100000000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000000"}
    with Serving(stocked(tmp_path), GRAPH_JOBS_BESIDE="false", **limits) as server:
        server.ready()
        _, password, _ = server.admin()
        explorer = Explorer(server.url, password)
        for operation in operations:
            explorer.sign_in()

            @given(case=operation.as_strategy(), signed_in=st.booleans())
            @settings(
                max_examples=scaled(25, 1),
                deadline=None,
                database=None,
                suppress_health_check=SLOW,
                print_blob=False,
            )
            def explore(*, case: Any, signed_in: bool) -> None:
                explorer.ask(case.body if isinstance(case.body, str) else case.body["query"], signed_in=signed_in)

            explore()
        explorer.close()
        assert explorer.asked >= len(operations)
        assert explorer.sessions
        assert server.query("{ __typename }") == {"data": {"__typename": "Query"}}
