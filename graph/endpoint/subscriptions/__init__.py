"""Subscriptions, whatever carries them: shared where they are the same, resumed, and bounded for slow clients."""
