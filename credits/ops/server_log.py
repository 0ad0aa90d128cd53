"""gunicorn's own log lines, in the form of all others."""

import logging
import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from credits.config.settings import load_settings, read_environment
from credits.log import set_up_logging


class ServerLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Hands gunicorn's lines to the process's handlers: JSON for machines, or a console's."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn in its master and in each worker."""
        super().setup(cfg)
        set_up_logging(load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()).log_format)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
        self.error_log.setLevel(logging.INFO)
