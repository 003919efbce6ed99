"""A GraphQL API server whose resolvers live in Redis. `graph.library` has its parts for an app of one's own."""


def __getattr__(name: str) -> str:
    """``__version__`` is that of the installed distribution."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - it takes a while, and is seldom asked

        return version("graph-server")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
