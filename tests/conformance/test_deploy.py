"""What lies in ``deploy/`` is what the server takes: checked by the programs that read it, and against the settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from graph.cli.listening import unsafe
from graph.settings import Settings
from harness.serving import ROOT
from harness.waiting import HANG
from tests.conformance.proxies import BLOCKS

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SECRETS = {"VALKEY_PASSWORD": "valkeysecret", "POSTGRES_PASSWORD": "postgressecret", "SITE": "shop.example"}


def run(*words: str, cwd: Path = DEPLOY) -> str:
    """Run a program that must find no fault."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=HANG, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- the image ---


def instructions() -> list[tuple[str, str]]:
    """The instructions of the image's definition, each on one line."""
    text = (DEPLOY / "container/Dockerfile").read_text()
    lines = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_runs_without_root_what_was_locked() -> None:
    """Its base has a version, packages are installed by hash, the last stage builds nothing and ends as a user."""
    steps = instructions()
    bases = [rest for word, rest in steps if word == "FROM"]
    assert len(bases) == 2
    assert len({base.partition(" ")[0] for base in bases}) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases[1])
    last = steps[max(place for place, (word, _) in enumerate(steps) if word == "FROM") :]
    assert [rest for word, rest in last if word == "USER"] == ["10001:10001"]
    assert not any("pip" in rest for word, rest in last if word == "RUN")
    installs = [part for word, rest in steps if word == "RUN" for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert all("--require-hashes" in one or "--no-deps" in one for one in installs)
    assert {word for word, _ in steps} <= {
        *("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")
    }


def test_the_image_is_built_from_what_is_there() -> None:
    """Everything that it copies exists, and is let through to the builder; what the build needs is among it."""
    ignored = (DEPLOY / "container/Dockerfile.dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            copied |= {name.rstrip("/") for name in rest.split()[:-1]}
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.findall(r'^(?:readme|license-files) = \[?"([\w./]+)"', project, re.MULTILINE)
    assert len(needed) == 2
    assert set(needed) <= copied


def test_the_build_of_the_image_gives_the_command(tmp_path: Path) -> None:
    """From those files alone the locked build backend makes a wheel that has the command."""
    source = tmp_path / "src"
    source.mkdir()
    shutil.copytree(ROOT / "graph", source / "graph", ignore=shutil.ignore_patterns("__pycache__"))
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest and rest != "graph graph":
            *names, folder = rest.split()
            (source / folder).mkdir(exist_ok=True)
            for name in names:
                shutil.copy(ROOT / name, source / folder)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", str(tmp_path), ".",
        cwd=source)  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = run(sys.executable, "-m", "zipfile", "-l", str(wheel))
    assert "entry_points.txt" in names
    assert "graph/jobs/lua/enqueue.lua" in names
    assert "graph/static/graphiql/" in names


# --- compose ---


def compose() -> dict[str, Any]:
    """The file, with the variables that somebody has to give."""
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+):\?\}", text))
    assert asked == set(SECRETS)
    text = re.sub(r"(?<!\$)\$\{(\w+):\?\}", lambda found: SECRETS[found[1]], text)
    return yaml.safe_load(text)


@pytest.mark.parametrize("service", ["server", "worker"])
def test_compose_starts_what_is_safe(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables are settings that production accepts; the root is read-only, and no privilege is left."""
    found = compose()["services"][service]
    for name in [name for name in os.environ if name.startswith("GRAPH_")]:
        monkeypatch.delenv(name)
    for name, value in found["environment"].items():
        assert isinstance(value, str), name
        monkeypatch.setenv(name, value)
    known = {variable for variable, *_ in Settings.fields()}
    assert set(found["environment"]) <= known
    settings = Settings.from_environment()
    assert settings.server.env == "production"
    assert list(unsafe(settings)) == []
    assert found["read_only"] is True
    assert found["tmpfs"] == ["/tmp"]
    assert found["cap_drop"] == ["ALL"]
    assert found["command"] == [{"server": "serve"}.get(service, service)]


def test_compose_names_what_it_has() -> None:
    """Networks, volumes, configs and services that are named are there, the proxies' network among them."""
    file = compose()
    services = file["services"]
    for service in services.values():
        assert set(service.get("networks", [])) <= set(file["networks"])
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(file["volumes"])
        assert {config["source"] for config in service.get("configs", [])} <= set(file["configs"])
        assert set(service.get("depends_on", [])) <= set(services)
        assert "ports" not in service or service is services["caddy"]
    (subnet,) = file["networks"]["inside"]["ipam"]["config"]
    assert services["server"]["environment"]["GRAPH_TRUSTED_PROXIES"] == subnet["subnet"]
    context = (DEPLOY / services["server"]["build"]["context"]).resolve()
    assert (context / services["server"]["build"]["dockerfile"]).is_file()
    for name in ("postgres", "valkey"):
        assert "healthcheck" in services[name]


def test_caddy_takes_both_of_its_files(tmp_path: Path) -> None:
    """The example, and the one in the compose file."""
    inner = compose()["configs"]["caddyfile"]["content"].replace("$$", "$")
    (tmp_path / "Caddyfile").write_text(inner.replace("{$SITE}", "shop.example"))
    for place in (DEPLOY / "caddy/Caddyfile", tmp_path / "Caddyfile"):
        run("caddy", "validate", "--adapter", "caddyfile", "--config", str(place))


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    """As it is included by nginx's own configuration."""
    whole = f"events {{}} pid {tmp_path}/pid; http {{ include {DEPLOY}/nginx/*.conf; }}"
    (tmp_path / "nginx.conf").write_text(whole)
    run(shutil.which("nginx") or "/usr/sbin/nginx", "-t", "-e", "stderr", "-p", str(tmp_path), "-c", "nginx.conf")


@pytest.mark.parametrize(("name", "block"), [("nginx/graph.conf", "graph.conf"), ("caddy/Caddyfile", "Caddyfile")])
def test_the_examples_are_those_of_the_page(name: str, block: str) -> None:
    """Browsers and clients have been through them: they are what docs/proxies.md shows, below a line that says so."""
    head, _, text = (DEPLOY / name).read_text().partition("\n")
    assert "docs/proxies.md" in head
    assert text == BLOCKS[block]


# --- systemd ---


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    """Where the program is installed systemd finds no fault with them, and calls them protected."""
    command = tmp_path / "graph"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    text = unit.read_text()
    assert "ExecStart=/opt/graph/bin/graph " in text
    here = tmp_path / unit.name
    here.write_text(text.replace("/opt/graph/bin/graph", str(command)))
    assert unit.name not in run("systemd-analyze", "verify", "--man=no", str(here))
    told = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(here))
    assert "OK" in told.splitlines()[-1]
    named = {
        name for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE) for name in re.findall(r"\w+(?==)", line)
    }
    assert named <= {variable for variable, *_ in Settings.fields()}
