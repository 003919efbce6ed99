"""HTTP clients of an application in this process or on a port."""
