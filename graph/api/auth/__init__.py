"""Who is signed in: the session behind a token or a cookie, and what a role may do."""
