"""Topics with history: every event once and in order, or a reported gap."""
