"""Only who has the address with its key sees the page: not other users, not other sites."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """An application behind a key.

    The address that `explore` prints has the key; who opens it gets a cookie, without which nothing
    is answered. A page on another site can reach 127.0.0.1 from the user's browser, but its
    requests do not carry the cookie; another user of the machine does not have it.

    Parameters
    ----------
    app : ASGI application
    key : str
    name : str
        Of the cookie; cookies are shared by all ports of a machine.
    """

    def __init__(self, app: Application, key: str, name: str) -> None:
        self.app, self.key, self.name = app, key, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on what may be answered."""
        if scope["type"] == "lifespan" or self._same(self._cookie(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif self._same(self._asked(scope)):
            cookie = f"{self.name}={self.key}; HttpOnly; SameSite=Lax; Path=/"
            await _answer(send, 303, [(b"location", b"/"), (b"set-cookie", cookie.encode())])
        else:
            text = b"This page is for who opened it: use the whole address that explore printed.\n"
            await _answer(send, 403, [(b"content-type", b"text/plain")], text)

    def _same(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.key.encode())

    def _cookie(self, scope: Scope) -> str:
        for name, value in scope.get("headers", ()):
            if name == b"cookie":
                for part in value.decode("latin-1").split(";"):
                    found, _, text = part.strip().partition("=")
                    if found == self.name:
                        return str(text)
        return ""

    def _asked(self, scope: Scope) -> str:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        return str(query.get("key", [""])[0])


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
