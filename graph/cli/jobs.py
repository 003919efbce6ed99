"""``graph jobs``: lists background jobs, live on a terminal; shows, retries and discards them."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli import support

if TYPE_CHECKING:
    from rich.table import Table

    from graph.jobs import Job

_ID = 24  # characters of a job's id
_WIDE = 100  # columns that leave room for bars

app = typer.Typer(no_args_is_help=True, help="Background jobs: list, show, retry, discard.")


class State(StrEnum):
    """The values of `list --state`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_Id = Annotated[str, typer.Argument(help="The job's id, or the beginning of it.")]


@app.command(name="list")
def list_jobs(
    *,
    state: Annotated[list[State] | None, typer.Option(help="Only jobs in this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to show, newest first.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep the list live until Ctrl-C.")] = False,
) -> None:
    """Show the newest jobs with their progress."""
    import asyncio

    from graph.jobs import JobState

    states = frozenset(JobState[one.name] for one in state or State)

    async def show() -> None:
        console = support.console()
        async with support.jobs(support.read_settings()) as jobs:
            if not (follow and console.is_terminal):
                console.print(_table(await jobs.list(states=states, limit=limit), console.width))
                if aside := await jobs.set_aside():
                    entries = "1 entry of the queue is" if aside == 1 else f"{aside:,} entries of the queue are"
                    console.print(f"{entries} set aside: no job, or a damaged one (XRANGE {jobs.keys.aside} - +)")
                return
            from rich.live import Live

            with Live(console=console, refresh_per_second=4, screen=False) as live:
                while True:
                    live.update(_table(await jobs.list(states=states, limit=limit), console.width))
                    await asyncio.sleep(0.5)

    support.run(show)


@app.command()
def show(job: _Id) -> None:
    """Show everything about one job."""

    async def tell() -> None:
        from rich.markup import escape
        from rich.table import Table

        console = support.console()
        async with support.jobs(support.read_settings()) as jobs:
            found = await support.find_job(jobs, job)
        facts = Table.grid(padding=(0, 2))
        for name, value in (
            ("job", found.id),
            ("name", escape(found.name)),
            ("state", _state(found)),
            ("progress", _progress(found)),
            ("attempts", f"{found.attempt} ({found.failures} failed)"),
            ("created", _moment(found.created_at)),
            ("started", _moment(found.started_at)),
            ("finished", _moment(found.finished_at)),
            ("error", escape(found.error or "-")),
        ):
            facts.add_row(f"[bold]{name}[/]", value)
        console.print(facts)
        if found.trace:
            console.print(f"\n{found.trace.rstrip()}", markup=False, style="dim")

    support.run(tell)


@app.command()
def retry(job: _Id) -> None:
    """Queue a failed job again."""

    async def again() -> None:
        from graph.jobs import AlreadyUnderWay, UnknownJob

        async with support.jobs(support.read_settings()) as jobs:
            found = await support.find_job(jobs, job)
            try:
                await jobs.retry(found.id)
            except (AlreadyUnderWay, UnknownJob) as error:
                support.fail(str(error))
        typer.echo(f"queued {found.name} {found.id} again; follow it with: graph jobs list -f")

    support.run(again)


@app.command()
def discard(job: _Id) -> None:
    """Delete a job; a running one stops at its next report."""

    async def forget() -> None:
        async with support.jobs(support.read_settings()) as jobs:
            found = await support.find_job(jobs, job)
            await jobs.discard(found.id)
        typer.echo(f"discarded {found.name} {found.id}")

    support.run(forget)


def _table(jobs: "list[Job]", width: int) -> "Table | str":
    import textwrap

    from rich import box
    from rich.markup import escape
    from rich.table import Table

    if not jobs:
        return "No jobs. They come from importProducts, graph rebuild, and the schedules of a running server."
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    names = min(18, max(len(job.name) for job in jobs))
    wide = width >= _WIDE
    # Ids are for copying and never cut: only columns without a fixed width are squeezed or folded by rich.
    table.add_column("job", width=_ID, no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("state", width=9, no_wrap=True)
    table.add_column("progress" if wide else "done", overflow="fold")
    table.add_column("created", width=12, no_wrap=True)
    room = max(8, width - names - (42 if wide else 30) - _ID)
    table.add_column("error", overflow="ellipsis")
    for job in jobs:
        error = escape(textwrap.shorten(job.error or "", room, placeholder="…"))
        table.add_row(job.id, escape(job.name), _state(job), _progress(job, bar=wide), _moment(job.created_at), error)
    return table


def _state(job: "Job") -> str:
    colour = {"QUEUED": "yellow", "RUNNING": "cyan", "SUCCEEDED": "green", "FAILED": "red"}[job.state.value]
    return f"[{colour}]{job.state.value.lower()}[/]"


def _progress(job: "Job", *, bar: bool = True) -> str:
    if not job.total:
        return f"{job.done:,}" if job.done else "-"
    done = min(1.0, job.done / job.total)
    if not bar:
        return f"{done:4.0%}"
    full = round(10 * done)
    return f"{'━' * full}[dim]{'╌' * (10 - full)}[/] {done:4.0%}"


def _moment(at: "object") -> str:
    from datetime import UTC, datetime

    if not isinstance(at, datetime):
        return "-"
    local = at.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S") if local.date() == today else local.strftime("%d %b %H:%M")
