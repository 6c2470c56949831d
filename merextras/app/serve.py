"""The server of the page: on this machine alone, in a thread."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Any

from merextras.exceptions import InvalidArgumentError, MerextrasError

HOST = "127.0.0.1"
#: Seconds to start, and to stop.
_START, _STOP = 30.0, 5.0


class Explorer:
    """A page that is being served.

    `explore` returns it; it is also a context manager that stops at its end.

    Attributes
    ----------
    url : str
        The address, with its key.
    """

    def __init__(self, app: Any, port: int) -> None:
        from merextras.app.guard import Guard  # noqa: PLC0415

        self._socket = _bound(port)
        key, number = secrets.token_urlsafe(16), self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{number}/?key={key}"
        self._server = _server(Guard(app, key, f"merextras-{number}"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        self._until(lambda: self._server.started or not self._thread.is_alive(), _START)
        if not self._server.started:
            raise MerextrasError(f"the explorer did not start on {HOST}:{number}")

    @property
    def running(self) -> bool:
        """Whether the page can be opened."""
        return self._thread.is_alive()

    def wait(self) -> None:
        """Go on when the page is stopped, or with Ctrl+C, which stops it."""
        try:
            while self.running:
                self._thread.join(0.2)
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Close the page; twice is not too often."""
        self._server.should_exit = True
        self._thread.join(_STOP)
        if self.running:
            self._server.force_exit = True
            self._thread.join(_STOP)
        self._socket.close()

    def _until(self, done: Any, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            time.sleep(0.02)

    def __enter__(self) -> Explorer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Explorer({self.url if self.running else 'stopped'})"


def _bound(port: int) -> socket.socket:
    """A socket of this machine alone."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except OSError as err:
        made.close()
        raise InvalidArgumentError(
            f"port={port}: {HOST}:{port} can't be served ({err.strerror}); "
            "give another, or 0 for any that is free"
        ) from err
    return made


def _server(app: Any) -> Any:
    import uvicorn  # noqa: PLC0415 (comes with shiny)

    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
    )
    return uvicorn.Server(config)
