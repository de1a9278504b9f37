//! Puff's GraphQL engine: schema, plan, layered execution, JSON writing. It does no I/O.
