"""What runs in a process of its own, so that it can be killed or race with others."""
