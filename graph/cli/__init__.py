"""The ``graph`` command: `commands` joins the commands of the features, which are in one file each.

Those files import typer and `support` at the top and everything else inside functions, so that ``graph --help`` is
fast. Longer commands have files of their own: `serve`, `doctor`, `settings`.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    import gc
    import io
    import sys

    gc.disable()  # imported objects stay: collecting during imports takes a fifth of the start
    try:
        from graph.cli.commands import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "graph":
            raise
        sys.exit(f"The command needs {error.name}: install graph-server[server].")

    # UTF-8 whatever the locale, as Python has it from 3.15: a redirected schema is the same file everywhere.
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # a closed one is None
            stream.reconfigure(encoding="utf-8", errors=errors)  # paths need not be UTF-8
    app()
