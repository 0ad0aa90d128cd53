"""Which process this is, for what must not be shared with a child: asked on every call, so it is remembered."""

import os
from functools import cache


@cache
def process_id() -> int:
    """The id of this process, also behind a fork."""
    os.register_at_fork(after_in_child=process_id.cache_clear)
    return os.getpid()
