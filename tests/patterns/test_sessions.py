"""Sessions: tokens, lifetimes, listing, eviction and ends, one property at a time."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import command
from graph.patterns.sessions import EpochMoved, Session, Sessions
from tests.support.engines.ageing import age_sessions
from tests.support.engines.dumps import dump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Client

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def sessions(client: Client) -> Sessions:
    """Sessions with the default lifetimes."""
    return Sessions(client)


async def calls(client: Client) -> dict[str, int]:
    """How often the server ran each command since its statistics were reset, inside scripts too."""
    text: bytes = await client.execute("INFO", "commandstats")
    found: dict[str, int] = {}
    for line in text.decode().splitlines():
        if line.startswith("cmdstat_"):
            name, _, rest = line.removeprefix("cmdstat_").partition(":calls=")
            found[name] = int(rest.partition(",")[0])
    found.pop("info", None)
    found.pop("config|resetstat", None)
    return found


async def reset_calls(client: Client) -> None:
    """Forget the commands counted so far."""
    await client.send(command("CONFIG", "RESETSTAT", retry=False))


# --- tokens ---


async def test_a_token_opens_its_session(sessions: Sessions) -> None:
    """A new session is found by its token, with everything that was told about it."""
    token, session = await sessions.create("7", role="ADMIN", user_agent="curl/8", ip_address="192.0.2.1")
    assert await sessions.touch(token) == session
    assert (session.user_id, session.role, session.user_agent) == ("7", "ADMIN", "curl/8")
    assert session.ip_address == "192.0.2.1"
    assert session.expires_at == pytest.approx(session.created_at + DAY)


async def test_a_token_carries_256_random_bits(sessions: Sessions) -> None:
    """Tokens route by user, hold 256 bits in the URL-safe alphabet and never repeat."""
    tokens = [(await sessions.create("7"))[0] for _ in range(50)]
    assert len(set(tokens)) == 50
    for token in tokens:
        user, _, secret = token.partition(".")
        assert user == "7"
        assert len(secret) == 43
        assert set(secret) <= set(string.ascii_letters + string.digits + "-_")


def damaged(token: str) -> list[str]:
    """Every way to be nearly `token`."""
    flipped = [
        token[:i] + chr(ord(char) ^ bit) + token[i + 1 :]
        for i, char in enumerate(token)
        for bit in (1, 2, 4, 8, 16, 32, 64)
    ]
    cut = [token[:i] for i in range(len(token))] + [token[i:] for i in range(1, len(token))]
    odd = [
        token + "A",
        token + "\n",
        " " + token,
        token.swapcase(),
        token + "\x00",
        "8" + token,
        "",
        ".",
        "7.",
        "\ud800",
    ]
    return flipped + cut + odd


async def test_a_damaged_token_opens_nothing(sessions: Sessions) -> None:
    """A token with any bit flipped, any end cut off or anything added is nobody's."""
    token, _ = await sessions.create("7")
    for wrong in damaged(token):
        assert await sessions.touch(wrong) is None, repr(wrong)
    assert await sessions.touch(token) is not None


async def test_a_token_of_one_user_does_not_open_another(sessions: Sessions) -> None:
    """The routing prefix is part of what is hashed: moved to another user the secret is worth nothing."""
    token, _ = await sessions.create("7")
    await sessions.create("8")
    assert await sessions.touch("8" + token[1:]) is None


@pytest.mark.parametrize("user", ["", "a b", "{7}", "7}:x", "ü", "x" * 65, "7\n"])
async def test_a_user_id_cannot_reach_out_of_its_hash_tag(sessions: Sessions, user: str) -> None:
    """Ids that could change a key's shape are refused before anything is sent."""
    with pytest.raises(ValueError, match="user id"):
        await sessions.create(user)
    with pytest.raises(ValueError, match="user id"):
        await sessions.revoke_all(user)


async def test_all_keys_of_a_user_share_one_hash_tag(client: Client, sessions: Sessions) -> None:
    """Session, index, epoch and budget of a user lie in one slot of a cluster, and each has a TTL."""
    token, _ = await sessions.create("7")
    await sessions.create("7")
    await sessions.revoke_all("7", keep=(await sessions.list("7"))[0].id)
    keys = [key.decode() for key in await client.execute("KEYS", "*", retry=True)]
    assert len(keys) == 3
    assert {key.split("{")[1].split("}")[0] for key in [*keys, sessions.budget_key(token) or ""]} == {"7"}
    for key in keys:
        assert await client.execute("PTTL", key) > 0, key


async def test_the_session_key_exists_as_long_as_the_session(client: Client, sessions: Sessions) -> None:
    """`session_key` is what another script may ask for: there while the session lives, gone with it."""
    token, session = await sessions.create("7")
    key = sessions.session_key(token)
    assert key is not None
    assert await client.execute("EXISTS", key) == 1
    await sessions.revoke("7", session.id)
    assert await client.execute("EXISTS", key) == 0
    assert sessions.session_key("nonsense") is None
    assert sessions.budget_key("nonsense") is None


async def test_the_store_holds_no_token(client: Client, sessions: Sessions) -> None:
    """A dump of every key and value contains neither a token nor its secret, and a session's id is not its key."""
    tokens = [await sessions.create(user, user_agent="a", ip_address="b") for user in ("7", "7", "8")]
    held = await dump(client)
    for token, session in tokens:
        assert token.encode() not in held
        assert token.partition(".")[2].encode() not in held
        assert session.id.encode() not in held
        assert session.id not in str(sessions.session_key(token))


# --- lifetimes ---


async def test_a_session_ends_at_its_sliding_limit(client: Client, sessions: Sessions) -> None:
    """It lives one second before 24 h without use have passed, and no longer one second after."""
    token, _ = await sessions.create("7")
    await age_sessions(client, DAY - 1)
    key = sessions.session_key(token)
    assert key is not None
    assert 0 < await client.execute("PTTL", key) <= 1000
    assert len(await sessions.list("7")) == 1
    await age_sessions(client, 1)
    assert await sessions.touch(token) is None
    assert await sessions.list("7") == []


async def test_use_moves_the_sliding_limit(client: Client, sessions: Sessions) -> None:
    """Each use gives another 24 h from then on."""
    token, _ = await sessions.create("7")
    for _ in range(3):
        await age_sessions(client, DAY - 1)
        session = await sessions.touch(token)
        assert session is not None
        assert session.expires_at == pytest.approx(session.last_active_at + DAY)


async def test_a_session_ends_at_its_absolute_limit(client: Client, sessions: Sessions) -> None:
    """However busy, it ends 30 days after it began, to the second."""
    token, _ = await sessions.create("7")
    for _ in range(30):
        assert await sessions.touch(token) is not None
        await age_sessions(client, DAY - 8)
    session = await sessions.touch(token)
    assert session is not None
    assert session.expires_at == pytest.approx(session.created_at + 30 * DAY)
    key = sessions.session_key(token)
    assert key is not None
    (seconds, _), lives = await client.batch(command("TIME"), command("PTTL", key))
    assert lives / 1000 == pytest.approx(session.expires_at - int(seconds), abs=1.1)
    left = int(lives / 1000)
    assert 0 < left <= 240
    await age_sessions(client, left - 120)
    assert await sessions.touch(token) is not None
    await age_sessions(client, 121)
    assert await sessions.touch(token) is None


@pytest.mark.parametrize(("sliding", "absolute"), [(0.2, 60.0), (60.0, 0.2)])
async def test_limits_hold_by_the_clock_on_the_wall(client: Client, sliding: float, absolute: float) -> None:
    """With lifetimes of tenths of a second nothing is moved: the server's own clock ends the session, to the ms."""
    sessions = Sessions(client, accuracy=0, sliding=sliding, absolute=absolute)
    token, session = await sessions.create("7")
    assert session.expires_at == pytest.approx(session.created_at + 0.2)
    key = str(sessions.session_key(token))
    alive = True
    while alive:
        before, alive, after = await client.batch(command("TIME"), command("EXISTS", key), command("TIME"))
        if alive:
            assert int(before[0]) + int(before[1]) / 1e6 < session.expires_at + 0.001
        else:
            assert int(after[0]) + int(after[1]) / 1e6 > session.expires_at - 0.001
    assert await sessions.touch(token) is None


async def test_activity_is_true_to_a_minute_without_a_write_each_time(client: Client, sessions: Sessions) -> None:
    """Within a minute a check only reads; past it the check notes the time once."""
    token, session = await sessions.create("7")
    await reset_calls(client)
    for _ in range(20):
        assert await sessions.touch(token) == session
    counted = await calls(client)
    assert "zadd" not in counted
    assert "pexpireat" not in counted
    await age_sessions(client, 60)
    await reset_calls(client)
    first, second = await sessions.touch(token), await sessions.touch(token)
    assert first is not None
    assert first == second
    assert first.last_active_at - first.created_at == pytest.approx(60, abs=30)
    assert (await calls(client))["zadd"] == 1


# --- listing and eviction ---


async def test_listing_shows_each_session_and_touches_none(client: Client, sessions: Sessions) -> None:
    """The list holds every live session, the most recently used first, and reading it does not count as use."""
    made = [(await sessions.create("7", user_agent=f"agent {i}"))[1] for i in range(3)]
    await sessions.create("8")
    await age_sessions(client, 120)
    listed = await sessions.list("7")
    assert [session.user_agent for session in listed] == ["agent 2", "agent 1", "agent 0"]
    assert [session.id for session in listed] == [session.id for session in reversed(made)]
    assert await sessions.list("7") == listed


async def test_the_least_recently_used_session_goes(client: Client) -> None:
    """The twenty-first session ends the one that was not used for longest, and tells of it."""
    told: list[tuple[str, Sequence[str]]] = []

    async def announce(user: str, ids: Sequence[str]) -> None:
        told.append((user, ids))

    sessions = Sessions(client, announce=announce)
    made = [await sessions.create("7") for _ in range(20)]
    await age_sessions(client, 100)
    assert await sessions.touch(made[0][0]) is not None
    token, _ = await sessions.create("7")
    alive = [await sessions.touch(old) is not None for old, _ in made]
    assert alive == [True, False, *[True] * 18]
    assert await sessions.touch(token) is not None
    assert told == [("7", [made[1][1].id])]


async def test_an_expired_session_is_not_counted(client: Client) -> None:
    """A session past its absolute limit makes room even when it was used last; no living one is ended for it."""
    sessions = Sessions(client, max_per_user=2, sliding=DAY, absolute=2 * DAY)
    old, _ = await sessions.create("7")
    await age_sessions(client, DAY - 60)
    assert await sessions.touch(old) is not None
    await age_sessions(client, DAY - 60)
    quiet, _ = await sessions.create("7")
    assert await sessions.touch(old) is not None
    await age_sessions(client, 180)
    await sessions.create("7")
    assert await sessions.touch(old) is None
    assert await sessions.touch(quiet) is not None


async def test_a_long_user_agent_is_cut(sessions: Sessions) -> None:
    """What a client says about itself cannot fill the store, and text that is no text does no harm."""
    _, session = await sessions.create("7", user_agent="é" * 10_000 + "\x00", ip_address="\ud800")
    assert session.user_agent == "é" * 256
    assert session.ip_address == "?"
    assert await sessions.list("7") == [session]


# --- ends ---


async def test_revoking_one_session_spares_the_others(sessions: Sessions) -> None:
    """Only the named session ends; naming it again, or one of another user, ends nothing."""
    (lost, session), (mine, _), (other, stranger) = [await sessions.create(user) for user in ("7", "7", "8")]
    assert await sessions.revoke("7", session.id) is True
    assert await sessions.revoke("7", session.id) is False
    assert await sessions.revoke("7", stranger.id) is False
    assert await sessions.touch(lost) is None
    assert await sessions.touch(mine) is not None
    assert await sessions.touch(other) is not None


async def test_revoking_all_can_spare_the_current_one(sessions: Sessions) -> None:
    """All other sessions of the user end, and their number is the answer."""
    made = [await sessions.create("7") for _ in range(5)]
    stranger, _ = await sessions.create("8")
    assert await sessions.revoke_all("7", keep=made[2][1].id) == 4
    assert [await sessions.touch(token) is not None for token, _ in made] == [False, False, True, False, False]
    assert await sessions.revoke_all("7") == 1
    assert await sessions.revoke_all("7", keep=made[2][1].id) == 0
    assert await sessions.touch(stranger) is not None


async def test_a_login_under_way_does_not_outlive_a_revocation(sessions: Sessions) -> None:
    """Credentials checked before a revocation begin no session after it."""
    epoch = await sessions.epoch("7")
    await sessions.revoke_all("7")
    with pytest.raises(EpochMoved):
        await sessions.create("7", epoch=epoch)
    assert await sessions.list("7") == []
    token, _ = await sessions.create("7", epoch=await sessions.epoch("7"))
    assert await sessions.touch(token) is not None


async def test_a_session_without_its_index_has_ended(client: Client, sessions: Sessions) -> None:
    """Where the store has lost the index, which a revocation goes by, the session is refused and not trusted."""
    token, _ = await sessions.create("7")
    await client.execute("DEL", "graph:sessions:{7}", retry=False)
    assert await sessions.touch(token) is None
    assert await client.execute("EXISTS", str(sessions.session_key(token))) == 0


async def test_ended_sessions_are_announced(client: Client) -> None:
    """Whoever listens hears the user and the ids of exactly the sessions that ended."""
    told: list[tuple[str, Sequence[str]]] = []

    async def announce(user: str, ids: Sequence[str]) -> None:
        told.append((user, sorted(ids)))

    sessions = Sessions(client, announce=announce)
    first, second, third = [(await sessions.create("7"))[1] for _ in range(3)]
    await sessions.revoke("7", first.id)
    await sessions.revoke_all("7", keep=second.id)
    await sessions.revoke_all("7", keep=second.id)
    assert told == [("7", [first.id]), ("7", [third.id])]


async def test_a_revocation_that_the_server_lost_is_made_again(client: Client) -> None:
    """A server that comes back with the sessions of before the revocation is told again before it is acknowledged."""
    kept: dict[bytes, bytes] = {}
    rounds = 0

    async def lose(_user: str, _ids: Sequence[str]) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:  # what a crash before the disk was reached does
            await client.execute("FLUSHALL", retry=False)
            for key, value in kept.items():
                await client.execute("RESTORE", key, 3_600_000, value, retry=False)

    sessions = Sessions(client, announce=lose)
    token, _ = await sessions.create("7")
    for key in await client.execute("KEYS", "*", retry=True):
        kept[key] = await client.execute("DUMP", key, retry=True)
    assert await sessions.revoke_all("7") == 1
    assert rounds == 2
    assert await sessions.touch(token) is None


_CROWD = b"""
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
  local user = '{other' .. math.floor(i / 20) .. '}'
  local session = 'graph:session:' .. user .. ':' .. i
  redis.call('HSET', session, 'created', 1, 'ends', 2, 'agent', '', 'address', '', 'role', '')
  redis.call('PEXPIRE', session, 86400000)
  redis.call('ZADD', 'graph:sessions:' .. user, 1, i)
end
return redis.call('DBSIZE')
"""


async def test_the_cost_does_not_depend_on_other_users(client: Client, sessions: Sessions) -> None:
    """Ending everywhere runs the same commands among 10 and 20,000 sessions of others: no SCAN, no KEYS."""

    async def cost() -> dict[str, int]:
        for _ in range(3):
            await sessions.create("7")
        await reset_calls(client)
        assert await sessions.revoke_all("7") == 3
        return await calls(client)

    async def crowd(first: int, last: int) -> None:
        for start in range(first, last, 10_000):
            await client.execute("EVAL", _CROWD, 0, start, min(start + 10_000, last), retry=False)

    await cost()  # opens the connection on which a revocation waits for the disk
    await crowd(0, 10)
    few = await cost()
    await crowd(10, 20_000)
    many = await cost()
    assert await client.execute("DBSIZE") >= 20_000
    assert few == many
    assert not {"scan", "keys", "smembers"} & set(many)


def test_a_session_shows_no_secret() -> None:
    """The value that travels through the product has no field from which a token could be had."""
    assert set(Session.__slots__) == {
        *("id", "user_id", "role", "created_at", "last_active_at", "expires_at", "user_agent", "ip_address"),
    }


@pytest.mark.parametrize("options", [{"accuracy": DAY}, {"absolute": 0}, {"max_per_user": 0}, {"accuracy": -1}])
def test_settings_that_make_no_sense_are_refused(client: Client, options: dict[str, float]) -> None:
    """A lifetime that could never be kept is refused at construction."""
    with pytest.raises(ValueError, match="sessions need"):
        Sessions(client, **options)  # pyright: ignore[reportArgumentType] - the table holds ints and floats alike
