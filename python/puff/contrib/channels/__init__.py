"""A channel layer for Django Channels on Puff's Redis pool.

    CHANNEL_LAYERS = {"default": {"BACKEND": "puff.contrib.channels.RedisChannelLayer"}}

Without `hosts` in its `CONFIG` it is on the program's Redis. The loops that use it may run on any thread of
any program: below uvicorn or daphne with the runtime in the background, or beside the greenlets of `puff`.

It is not installed with Puff: `pip install "puff-py[channels]"`.
"""

from __future__ import annotations

from ._layer import RedisChannelLayer

__all__ = ["RedisChannelLayer"]
