"""A PostgreSQL driver with psycopg2's interface (PEP 249), whose waits are greenlet waits."""
