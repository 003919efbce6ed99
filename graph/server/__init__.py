"""The bounds on uvicorn's connections, and the answers they give without the application."""
