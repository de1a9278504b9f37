"""Puff for other frameworks. Each module needs its framework, and nothing here is imported by the rest."""
