"""A tour of Puff: countries, their subdivisions and airports, as GraphQL and as pages."""
