"""Boards, seasons and scores: SQL is the truth, Redis the index."""
