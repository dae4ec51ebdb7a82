"""The server: the built page, and what it asks as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mansard.core.errors import MansardError
from mansard.serve.bundle import asset
from mansard.serve.guard import Guard, Limits
from mansard.serve.names import Names
from mansard.serve.packed import Packed, packed_json

if TYPE_CHECKING:
    from mansard.serve.answers import Answers

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Desk:
    """One thread that computes: symbols are shared, and a program asked for twice is made once."""

    def __init__(self, names: Names, limits: Limits, answers: Answers | None = None) -> None:
        self._names, self._limits, self._answers = names, limits, answers
        self._thread = ThreadPoolExecutor(1, "mansard")
        self._turn = asyncio.Lock()

    @property
    def answers(self) -> Answers:
        """What computes; symbols and the rest are imported by the first who asks."""
        if self._answers is None:
            from mansard.serve.answers import Answers

            self._answers = Answers(self._names)
        return self._answers

    async def run(self, work: Callable[[], Any]) -> Any:
        """Return what work returns.

        Raises:
            TimeoutError: it took too long; it is left behind, and the next begins afresh.
        """
        async with self._turn:
            told = copy_context()  # what the command was told of plugins holds in the thread, too
            job = asyncio.get_running_loop().run_in_executor(self._thread, told.run, work)
            try:
                return await asyncio.wait_for(asyncio.shield(job), self._limits.seconds)
            except TimeoutError:
                job.add_done_callback(lambda done: done.exception())
                self._thread.shutdown(wait=False)
                self._thread = ThreadPoolExecutor(1, "mansard")
                self._answers = None  # the old one may be in the middle of something
                raise


def make_app(
    names: Names | None = None,
    *,
    answers: Answers | None = None,
    start: Mapping[str, Any] | None = None,
    hosts: frozenset[str] | None = LOOPBACK,
    limits: Limits | None = None,
) -> Any:
    """Return the ASGI application.

    Args:
        names: what pages may name.
        answers: what computes, where there is one already.
        start: the question a page begins with.
        hosts: that requests may name; None admits every one.
        limits: of a request.
    """
    limits = limits or Limits()
    held = answers.names if answers else names or Names()
    desk = Desk(held, limits, answers)
    known: dict[str, Packed] = {}

    def offered() -> Packed:
        from mansard.serve.catalogue import listings

        boot = packed_json({**listings(held), "start": dict(start or {})})
        return Packed(boot.data, boot.media_type)

    @asynccontextmanager
    async def warm(_: Any) -> AsyncIterator[None]:
        async def ahead() -> None:
            with suppress(MansardError, TimeoutError):
                known["boot"] = await desk.run(offered)
                if start:
                    await desk.run(lambda: desk.answers.analyze({"question": start}))
                gc.freeze()  # what is loaded by now stays: no collection needs to walk it

        task = asyncio.create_task(ahead())
        yield
        task.cancel()

    async def told(request: Request, work: Callable[[], Any]) -> Response:
        try:
            answer = await desk.run(lambda: packed_json(work()))
        except MansardError as error:
            return _problem(error.message, 422, hint=error.hint)
        except TimeoutError:
            return _problem(f"this takes longer than {limits.seconds:g} s", 503)
        except (RecursionError, MemoryError) as error:
            return _problem(f"this is too large: {type(error).__name__}", 422)
        return _send(request, answer, {"cache-control": "no-store"})

    def asks(name: str) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                body = json.loads(await request.body())
            except (ValueError, RecursionError):
                return _problem("the body is not JSON", 400)
            except ClientDisconnect:
                return _problem("the body is too large", 413)
            if not isinstance(body, dict):
                return _problem("the body is not a JSON object", 400)
            return await told(request, lambda: getattr(desk.answers, name)(body))

        return answer

    async def upload(request: Request) -> Response:
        try:
            data = await request.body()
        except ClientDisconnect:
            return _problem("the file is too large", 413)
        filename = request.query_params.get("name", "file")[:400]
        raw = request.query_params.get("raw") == "true"
        return await told(request, lambda: desk.answers.upload(data, filename, raw))

    async def boot(request: Request) -> Response:
        if "boot" not in known:
            try:
                known["boot"] = await desk.run(offered)
            except MansardError as error:
                return _problem(error.message, 422, hint=error.hint)
        return _fresh(request, known["boot"])

    async def chip(request: Request) -> Response:
        from mansard.serve.catalogue import named_sheet

        name = request.query_params.get("name", "")[:200]
        return await told(request, lambda: named_sheet(held, name))

    async def page(request: Request) -> Response:
        found = asset(request.path_params.get("name") or "index.html")
        return _problem("there is nothing here", 404) if found is None else _fresh(request, found)

    async def favicon(request: Request) -> Response:
        return Response(status_code=204)

    posts = ("analyze", "passes", "compare", "sweep", "solve")
    routes = [
        Route("/api/boot", boot),
        Route("/api/chip", chip),
        Route("/api/upload", upload, methods=["POST"]),
        *(Route(f"/api/{name}", asks(name), methods=["POST"]) for name in posts),
        Route("/favicon.ico", favicon),
        Route("/", page),
        Route("/{name}", page),
    ]
    return Guard(Starlette(routes=routes, lifespan=warm), hosts, limits)


def _send(request: Request, body: Packed, headers: Mapping[str, str]) -> Response:
    data, packing = body.for_reader(request.headers.get("accept-encoding", ""))
    return Response(data, media_type=body.media_type, headers={**headers, **packing})


def _fresh(request: Request, body: Packed) -> Response:
    """Return what a browser may keep and asks after each time; nothing if it is the same still."""
    headers = {"cache-control": "no-cache", "etag": body.tag}
    if request.headers.get("if-none-match") == body.tag:
        return Response(status_code=304, headers=headers)
    return _send(request, body, headers)


def _problem(message: str, status: int, **more: str | None) -> Response:
    body = packed_json({"error": message, **more})
    return Response(body.data, status, media_type=body.media_type,
                    headers={"cache-control": "no-store"})  # fmt: skip
