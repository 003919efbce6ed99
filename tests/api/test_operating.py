"""What an ADMIN asks of the server: its state, its jobs, its users; and what a file of products would do."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.node import global_id
from graph.api.server.resolvers import pause_after
from graph.catalog import IMPORT_UPLOAD
from graph.endpoint.observe import MetricsReading, read_metrics
from graph.jobs import JobState
from graph.patterns.roster import Roster
from harness.subscriber import subscriber
from harness.waiting import within
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.apps.accounts import Shop

STATE = """seconds requestsPerSecond inProgress operations { name perSecond errorsPerSecond p50 p99 } keptRatio
  refusals { code perSecond } sockets subscriptions liveQueries liveFollowers processes
  fleet { host pid kind version startedAt heardSecondsAgo requestsPerSecond inProgress sockets memoryBytes }
  redis { health name milliseconds usedBytes maxBytes } sql { health name milliseconds usedBytes maxBytes }"""
SERVER = f"{{ server {{ {STATE} }} }}"
CHANGED = f"subscription {{ serverChanged(seconds: 1) {{ {STATE} }} }}"
JOBS = "query ($states: [JobState!]) { jobs(states: $states) { id name state file seconds attempts } }"
RETRY = "mutation ($id: ID!) { retryJob(id: $id) { __typename ... on Job { state } ... on UserError { code } } }"
DISCARD = "mutation ($id: ID!) { discardJob(id: $id) }"
USERS = """query ($first: Int! = 20, $after: String, $email: String) {
  users(first: $first, after: $after, email: $email) {
    nodes { user { id email } disabled sessions { id current } } pageInfo { hasNextPage endCursor }
  }
}"""
REVOKE = "mutation ($user: ID!, $session: ID!) { revokeUserSession(user: $user, session: $session) }"
REVOKE_ALL = "mutation ($user: ID!) { revokeUserSessions(user: $user) }"
PREVIEW = """mutation ($file: Upload!) { previewImport(input: {file: $file}) { __typename
  ... on ImportPreview { format shape columns { column meaning } ignored rows complete created updated unchanged bad
    problems examples { sku values { name value } } }
  ... on InvalidInput { field message } } }"""
TSV = b"sku,name,price,stock,shelf\na-1,Lamp,9.50,3,x\na-2,Chair,,1,x\na-3,Table,20,2,x\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads go to the folder ``imports`` of where the server runs."""
    monkeypatch.chdir(tmp_path)


async def preview(app: Shop, token: str, content: bytes, name: str) -> Any:
    """What a file would do."""
    form = {
        "operations": (None, json.dumps({"query": PREVIEW, "variables": {"file": None}})),
        "map": (None, json.dumps({"0": ["variables.file"]})),
        "0": (name, content),
    }
    headers = {"graphql-require-preflight": "1", "Authorization": f"Bearer {token}"}
    answer = (await app.web.post("/graphql", files=form, headers=headers)).json()
    assert "errors" not in answer, answer
    return answer["data"]["previewImport"]


async def test_it_is_for_an_admin(app: Shop) -> None:
    """Neither a stranger nor a player nor a key of the catalog sees the server, jobs or users, or ends sessions."""
    player = (await app.register("p@example.org"))["token"]
    nothing: dict[str, Any] = {"id": "x", "user": "x", "session": "x"}
    for document in (SERVER, JOBS, RETRY, DISCARD, USERS, REVOKE, REVOKE_ALL):
        assert await app.codes(document, **nothing) == ["UNAUTHENTICATED"], document
        assert await app.codes(document, token=player, **nothing) == ["FORBIDDEN"], document


async def test_the_state_of_the_server(app: Shop) -> None:
    """Engines answer with their names and sizes; what runs while it is followed is in one of the intervals, by name."""
    token = await app.admin()
    async with serving(app.app) as port, subscriber(port, token) as socket, within("the operation to be told of"):
        following = await socket.follow(CHANGED)
        await following.until(1)
        await app.ask("query Watched { categories { slug } }")
        seen = 0
        while True:
            await following.until(seen + 1)
            state = following.values("serverChanged")[seen]
            seen += 1
            if named := [one for one in state["operations"] if one["name"] == "Watched"]:
                break
    assert named[0]["perSecond"] > 0
    assert 0 < named[0]["p50"] <= named[0]["p99"]
    assert state["sockets"] >= 1
    assert (state["redis"]["health"], state["sql"]["health"]) == ("OK", "OK")
    assert state["redis"]["name"].startswith(("Valkey", "Redis"))
    assert state["sql"]["name"].startswith("SQLite 3.")
    assert state["redis"]["usedBytes"] > 0
    assert state["sql"]["usedBytes"] > 0
    assert state["processes"] >= 1
    (process,) = state["fleet"]
    assert (process["kind"], process["pid"]) == ("SERVER", os.getpid())
    assert process["memoryBytes"] > 1_000_000
    once = (await app.ask(SERVER, token=token))["server"]
    assert once["seconds"] >= 1.0
    assert await app.codes("subscription { serverChanged(seconds: 0) { seconds } }", token=token) != []


async def test_processes_of_another_release_are_shown_as_far_as_they_are_known(app: Shop) -> None:
    """One that leaves out what can do without is there; of a kind, or with facts, that nobody knows here, it is not."""
    token = await app.admin()
    base: dict[str, Any] = {"host": "next", "pid": 7, "kind": "worker", "began": 1.5}
    unknown: list[dict[str, Any]] = [
        {"kind": "cache"},
        {"began": "long ago"},
        {"began": 1e300},
        {"pid": None},
        {"sockets": [1]},
    ]
    for told in (base, *(base | one for one in unknown), {"host": "next"}):
        await Roster(app.services.client, dict(told).copy, prefix=app.services.prefix).answer()
    fleet = (await app.ask(SERVER, token=token))["server"]["fleet"]
    (other,) = [one for one in fleet if one["host"] == "next"]
    assert len(fleet) == 2
    assert (other["pid"], other["kind"], other["version"]) == (7, "WORKER", "unknown")
    assert (other["requestsPerSecond"], other["sockets"], other["memoryBytes"]) == (0, 0, None)


def test_a_reading_that_takes_long_is_rare() -> None:
    """It takes a hundredth of a processor at most; where it takes little, the follower's wish counts."""
    assert pause_after(MetricsReading(0.0, {}, 0.05), 2) == 5.0
    assert pause_after(MetricsReading(0.0, {}, 0.002), 2) == 2
    assert read_metrics().cost > 0


async def test_jobs_are_listed_retried_and_discarded(app: Shop) -> None:
    """The newest first, with the file that they import; one that did not fail is not tried again."""
    token, jobs = await app.admin(), app.services.jobs
    old = await jobs.enqueue("other", {}, durable=False)
    new = await jobs.enqueue(IMPORT_UPLOAD, {"path": "uploads/0.csv", "name": "spring.csv"}, durable=False)
    listed = (await app.ask(JOBS, token=token))["jobs"]
    assert [(one["id"], one["file"]) for one in listed] == [
        (global_id("Job", new), "spring.csv"),
        (global_id("Job", old), None),
    ]
    assert listed[0] | {"state": "QUEUED", "seconds": None, "attempts": 0} == listed[0]
    assert (await app.ask(JOBS, token=token, states=["FAILED"]))["jobs"] == []
    for unknown in (global_id("Job", new), global_id("Job", "nothing"), "", "\0"):
        retried = (await app.ask(RETRY, token=token, id=unknown))["retryJob"]
        assert retried == {"__typename": "NotFound", "code": "NOT_FOUND"}
    assert await app.ask(DISCARD, token=token, id=global_id("Job", new)) == {"discardJob": True}
    assert await app.ask(DISCARD, token=token, id=global_id("Job", new)) == {"discardJob": False}
    assert [one["id"] for one in (await app.ask(JOBS, token=token))["jobs"]] == [global_id("Job", old)]
    assert await app.codes("{ jobs(first: 0) { id } }", token=token) == ["BAD_USER_INPUT"]


async def test_a_failed_job_is_retried_and_its_followers_see_it(app: Shop) -> None:
    """Through jobsChanged: the job as it stands, failed, then queued again; a second retry finds no failed job."""
    token, jobs = await app.admin(), app.services.jobs
    job = await jobs.enqueue("other", {}, unique="one", durable=False)
    record = jobs.keys.record(job)
    finished = ("state", "FAILED", "started", 1_000_000, "finished", 3_500_000, "attempt", 1)
    await jobs.client.execute("HSET", record, *finished)
    await jobs.client.execute("DEL", jobs.keys.unique("other", "one"))
    shown = "jobsChanged { id state seconds attempts }"
    async with serving(app.app) as port, subscriber(port, token) as socket:
        following = await socket.follow(f"subscription {{ {shown} }}")
        await following.until(1)
        first = following.values("jobsChanged")[0]
        assert first == [{"id": global_id("Job", job), "state": "FAILED", "seconds": 2.5, "attempts": 1}]
        retried = (await app.ask(RETRY, token=token, id=global_id("Job", job)))["retryJob"]
        assert retried == {"__typename": "Job", "state": "QUEUED"}
        await following.until(2)
        assert following.values("jobsChanged")[1][0]["state"] == JobState.QUEUED.value
    assert (await app.ask(RETRY, token=token, id=global_id("Job", job)))["retryJob"]["code"] == "NOT_FOUND"


async def test_users_and_their_sessions(app: Shop) -> None:
    """Page by page, or one by email; ending a session ends it, and no other; ending all says how many there were."""
    token = await app.admin()
    other, kept = await app.register("p@example.org"), await app.login("p@example.org")
    first = (await app.ask(USERS, token=token, first=1))["users"]
    assert [one["user"]["email"] for one in first["nodes"]] == ["root@example.org"]
    assert [one["current"] for one in first["nodes"][0]["sessions"]] == [True]
    rest = (await app.ask(USERS, token=token, after=first["pageInfo"]["endCursor"]))["users"]
    assert [one["user"]["email"] for one in rest["nodes"]] == ["p@example.org"]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    assert (await app.ask(USERS, token=token, email="P@Example.org"))["users"]["nodes"] == rest["nodes"]
    assert rest["nodes"][0]["disabled"] is False
    for nobody in ("nobody@example.org", "", "\0", "@"):
        assert (await app.ask(USERS, token=token, email=nobody))["users"]["nodes"] == []
    mistakes: list[dict[str, Any]] = [{"first": 0}, {"after": "x"}]
    for wrong in mistakes:
        assert await app.codes(USERS, token=token, **wrong) == ["BAD_USER_INPUT"]
    user, session = rest["nodes"][0]["user"]["id"], other["session"]["id"]
    assert await app.ask(REVOKE, token=token, user=user, session=session) == {"revokeUserSession": True}
    assert await app.ask(REVOKE, token=token, user=user, session=session) == {"revokeUserSession": False}
    assert await app.ask(REVOKE, token=token, user="x", session="y") == {"revokeUserSession": False}
    assert await app.viewer(kept["token"]) is not None
    assert await app.codes("{ viewer { user { id } } }", token=other["token"]) == ["UNAUTHENTICATED"]
    assert await app.ask(REVOKE_ALL, token=token, user=user) == {"revokeUserSessions": 1}
    assert await app.codes("{ viewer { user { id } } }", token=kept["token"]) == ["UNAUTHENTICATED"]


async def test_what_a_file_would_do(app: Shop) -> None:
    """Its columns, what they mean and the first products; bad rows with the reason; and nothing is written or kept."""
    token = await app.admin()
    seen = await preview(app, token, TSV, "spring.csv")
    assert seen["shape"] == "csv"
    assert {"column": "price", "meaning": "price"} in seen["columns"]
    assert seen["ignored"] == ["shelf"]
    assert (seen["rows"], seen["complete"], seen["created"], seen["bad"]) == (3, True, 2, 1)
    assert seen["problems"][0].startswith("Line 3: ")
    assert [one["sku"] for one in seen["examples"]] == ["a-1", "a-2", "a-3"]
    assert {"name": "price", "value": "9.50 USD"} in seen["examples"][0]["values"]
    assert (await app.ask("{ products { totalCount } }"))["products"]["totalCount"] == 0
    assert (await app.ask(JOBS, token=token))["jobs"] == []
    uploads = app.services.imports / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


async def test_a_file_that_is_none_is_refused(app: Shop) -> None:
    """With a sentence, at the field of the file."""
    token = await app.admin()
    for content, name in ((b"\xff\xfe\x00", "a.json"), (b"", "a.csv"), (b"x", "a.exe")):
        seen = await preview(app, token, content, name)
        assert (seen["__typename"], seen["field"]) == ("InvalidInput", "file")
