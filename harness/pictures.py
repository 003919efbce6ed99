"""Makes the pictures of pages in README.md and docs/: ``python -m harness.pictures`` (``make pictures``).

A server on its seeded data is looked at in headless Chromium by `tests/browser/pictures.mjs`. docs/bench.png shows
figures and no page: ``python -m bench http`` draws it. Fails, and changes no picture, when a page does not show what
it should.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from harness.serving import ROOT, Serving

PAGES = ("board.png", "console.png", "graphiql.png")
"""The pictures, in docs/."""
_REGISTER = "mutation ($input: RegisterInput!) { register(input: $input) { ... on AuthPayload { token } } }"
_SUBMIT = 'mutation { submitScore(input: { board: "all-time", score: 10500 }) { __typename } }'


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots = folder / "shots"
        shots.mkdir()
        limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "10000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000"}
        with Serving(folder / "data", **limits) as server:
            _, password, _ = server.ready().admin()
            player = {"email": "ada@example.com", "password": "the phrase of a player", "displayName": "Ada"}
            token = server.query(_REGISTER, input=player)["data"]["register"]["token"]
            server.query(_SUBMIT, headers={"Authorization": f"Bearer {token}"})
            environment = {**os.environ, "ADMIN_PASSWORD": password, "PLAYER_PASSWORD": player["password"]}
            command = ["node", "pictures.mjs", server.url, str(shots)]
            subprocess.run(command, cwd=ROOT / "tests/browser", env=environment, check=True, timeout=300)
        for page in PAGES:
            (ROOT / "docs" / page).write_bytes((shots / page).read_bytes())
            print(f"docs/{page}")


if __name__ == "__main__":
    main()
