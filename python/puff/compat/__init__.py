"""Puff in the place of other libraries, for programs that were written for those."""
