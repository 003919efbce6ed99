"""Where the time of a warm catalog page goes: py-spy's samples of ``graph serve`` under load, by what the server does.

``python -m bench.peers.profiling`` prints the table of docs/performance.md. The microseconds are the CPU time that the
process took for a request while nobody watched, shared out by the samples of a second burst; py-spy sees Python's
frames, so that what C code does (hiredis, httptools, the kernel's part of a write) counts for the line that called it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.http import SCENARIOS, USUAL, Plan, stage
from bench.peers.contenders import OURS
from bench.peers.load import burst
from bench.peers.scenarios import PAGE

# The first row one of whose words stands in the innermost frames decides; frames are looked at from the inside.
ROWS = (
    ("Redis: commands into one write", ("Link.deliver", "Wire._flush", "Wire.submit", "Client.batch", "Pending.")),
    ("Metrics and access log", ("observe.py", "prometheus_client")),
    ("Answering: the head's numbers, one write to the socket", ("HttpProtocol.answer", "Express._answer")),
    ("Judging the replies", ("Express.arrive", "Express._current")),
    ("Recognising the request, finding what to ask", ("Express.take", "responses.py", "cache_bytes.py", "_Ride")),
    ("Redis: replies parsed", ("Wire.data_received",)),
    ("Taking the request from its connection", ("http_protocol.py", "connections.py")),
    ("uvicorn and the rest of the application", ("uvicorn", "graph/")),
    ("Event loop: epoll, reading from and writing to sockets", ("Runner.run",)),
)


def _row(stack: list[str]) -> str:
    for frame in reversed(stack):
        for name, words in ROWS:
            if any(word in frame for word in words):
                return name
    raise AssertionError(stack)  # the last row has all the rest


def profile(scenario: str, seconds: int) -> tuple[float, float, Counter[str]]:
    """Requests a second, CPU microseconds a request, and the samples by row."""
    plan = Plan(contenders=(OURS,), scenarios=tuple(one for one in SCENARIOS if one.name == scenario))
    with ExitStack() as stack:
        staged = stack.enter_context(stage(plan))
        ours = staged.running[OURS.name]
        (wanted,) = plan.scenarios
        body = wanted.body(staged.shop)

        def load(start: int, duration: int) -> tuple[float, float]:
            one = burst(
                ours,
                body=body,
                token=staged.shop.token,
                start=start * 1_000_000,
                connections=USUAL,
                seconds=duration,
                redis=staged.redis,
            )
            return one.rate, one.server

        load(1, 2)
        rate, cpu = load(2, seconds)
        raw = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "raw"
        spy = Path(sys.executable).with_name("py-spy")
        what = ["-p", str(ours.pid), "-d", str(seconds), "-r", "500", "-f", "raw", "-o", str(raw)]
        command = [str(spy), "record", *what]
        watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        load(3, seconds + 1)
        watcher.wait()
        samples: Counter[str] = Counter()
        for line in raw.read_text().splitlines():
            frames, _, count = line.rpartition(" ")
            if "Runner.run" in frames:  # the event loop's thread; the others wait
                samples[_row(frames.split(";"))] += int(count)
    return rate, cpu, samples


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.profiling")
    parser.add_argument("--scenario", default=PAGE.name, choices=[one.name for one in SCENARIOS])
    parser.add_argument("--seconds", type=int, default=5)
    asked = parser.parse_args()
    rate, cpu, samples = profile(asked.scenario, asked.seconds)
    total = samples.total()
    print(f"{rate:,.0f} requests/s, {cpu:.1f} µs of CPU a request, {USUAL} connections\n")
    print("| | µs | share |\n|---|---:|---:|")
    for name, _ in ROWS:
        print(f"| {name} | {cpu * samples[name] / total:.1f} | {100 * samples[name] / total:.0f} % |")


if __name__ == "__main__":
    main()
