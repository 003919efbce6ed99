"""What uvicorn's connections are held to, and the answers they give without the application."""
