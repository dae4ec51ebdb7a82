"""What stands between a socket and an answer: who may ask, how much, and what a browser may do.

A page of another site can make a browser send requests to this machine; so a request must name
this server in ``Host`` (which DNS rebinding cannot) and, where it has an ``Origin``, come from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
    "connect-src 'self'", "worker-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
"""Nothing from elsewhere, and no script or style that stands in the page itself."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
BODY_BYTES = 1_000_000
"""Of a question; an upload has its own cap."""


@dataclass(frozen=True)
class Limits:
    """How much one request may ask.

    Args:
        body_bytes: of a question.
        upload_bytes: of a file dropped onto the page.
        seconds: of computing; as long may a body take to arrive.
    """

    body_bytes: int = BODY_BYTES
    upload_bytes: int = 256_000_000
    seconds: float = 60.0


@dataclass
class Guard:
    """ASGI middleware that refuses what did not come from the server's own page.

    Args:
        app: what answers.
        hosts: that the ``Host`` header may name, without a port; None admits every one.
        limits: of bodies.
    """

    app: App
    hosts: frozenset[str] | None
    limits: Limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with headers added and the body's length watched."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await _refuse(send, *refused)
            return
        most = self._most(scope)
        taken, over, late, whole = 0, False, False, False
        end = asyncio.get_running_loop().time() + self.limits.seconds

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken, over, late, whole
            left = None if whole else end - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), left)
            except TimeoutError:
                late = True
                return {"type": "http.disconnect"}
            whole = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > most:
                over = True
                return {"type": "http.disconnect"}
            return message

        started = False

        async def dressed(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if (over or late) and not started:
                return
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await self.app(scope, counted, dressed)
        except asyncio.CancelledError:  # the server ends, and this one is not ready
            if not started:
                await _refuse(send, 503, "the server ends")
            return
        except Exception:
            if not (over or late):
                raise
        if late and not started:
            await _refuse(send, 408, f"the body took longer than {self.limits.seconds:g} s")
        elif over and not started:
            await _refuse(send, 413, f"the body is larger than {most:,} bytes")

    def _most(self, scope: Scope) -> int:
        upload = scope["path"] == "/api/upload"
        return self.limits.upload_bytes if upload else self.limits.body_bytes

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = _headers(scope["headers"])
        host = headers.get("host", "")
        if headers.get("\0twice"):
            return 400, "a header that must be one stands twice"
        if self.hosts is not None and hostname(host) not in self.hosts:
            return 421, "this server is not called that"
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{host}":
            return 403, "a page of another site may not ask"
        site = headers.get("sec-fetch-site")
        if scope["path"].startswith("/api/") and site not in (None, "same-origin", "none"):
            return 403, "a page of another site may not ask"
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            wanted = ("application/octet-stream" if scope["path"] == "/api/upload"
                      else "application/json")  # fmt: skip
            if kind != wanted:  # a form of another site cannot send either
                return 415, f"the body must be {wanted}"
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            return 400, "the content length is no number"
        if int(length) > self._most(scope):
            return 413, f"the body is larger than {self._most(scope):,} bytes"
        return None


def hostname(host: str) -> str:
    """Return a Host header without its port.

    >>> hostname("127.0.0.1:8765"), hostname("[::1]:80"), hostname("LOCALHOST")
    ('127.0.0.1', '[::1]', 'localhost')
    """
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        name = key.decode("latin-1").lower()
        if name in found and name in ("host", "origin", "content-length"):
            found["\0twice"] = name
        found[name] = value.decode("latin-1")
    return found


async def _refuse(send: Send, status: int, message: str) -> None:
    body = f'{{"error": "{message}"}}'.encode()
    headers = [(b"content-type", b"application/json"),
               (b"content-length", str(len(body)).encode()), *HEADERS]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
