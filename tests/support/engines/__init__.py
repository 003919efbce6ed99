"""PostgreSQL and certificates for the tests, what stands between a client and its engine, and looks into engines."""
