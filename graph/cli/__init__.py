"""The ``graph`` command: `commands` joins the commands of each feature, which lie in a file each.

Those files import typer and `support` at their top and everything else inside their functions, so that ``graph --help``
is quick. What a command needs more room for has a file of its own: `serve`, `doctor`, `settings`.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    import gc

    gc.disable()  # what is imported stays: to look through it time and again takes a fifth of the start
    from graph.cli.commands import app

    app()
