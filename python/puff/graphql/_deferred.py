"""Members of a class that become resolvers only when the schema is built, and all classes are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._scope import Scope


class Deferred:
    """Stands in a class for a resolver that is made later; for frameworks that write resolvers themselves."""

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        """Return the class method, the static method, the constant or the statement that it is.

        Args:
            owner: The class that it is a member of.
            name: Its name there.
            scope: Where names of type hints are looked up.

        Raises:
            UnresolvedName: A name in a hint is not known (yet): it is asked again when more classes are.
            Problem: It makes no sense.
        """
        raise NotImplementedError
