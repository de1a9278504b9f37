"""The driver beside psycopg2 and psycopg 3: one connection, CPU per operation."""
