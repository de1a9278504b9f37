"""`{ hello }` as a constant of the schema, which Rust answers without entering Python."""

from __future__ import annotations

from dataclasses import dataclass

from puff import graphql


@dataclass
class Query:
    hello = graphql.constant(str, "world")


@dataclass
class Schema:
    query: Query
