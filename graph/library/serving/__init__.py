"""A schema as a router of FastAPI: `FastGraphQL`, where Strawberry's `GraphQLRouter` would stand.

`router` puts the endpoint behind the routes and dependencies of FastAPI, `contexts` makes the context of an operation
of what dependencies gave, `response` sends what was set on FastAPI's responses, `sign_in` finds the caller by a
function of the token, `keeping` refuses what cannot be kept, `described` is what the OpenAPI document of the app says
of it. It needs the extra ``[endpoint]``.
"""

from graph.library.serving.router import FastGraphQL

__all__ = ["FastGraphQL"]
