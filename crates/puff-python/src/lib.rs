//! Where Rust meets Python: hub, conversions, WSGI, GraphQL resolvers. The only user of PyO3.
