"""The exceptions of the package."""

from __future__ import annotations

from ._native import native

DatabaseError = native.DatabaseError
ServiceError = native.ServiceError

__all__ = ["DatabaseError", "ServiceError"]
