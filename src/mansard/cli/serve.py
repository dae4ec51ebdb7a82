"""``mansard serve``: the viewer in a browser."""

from __future__ import annotations

import socket
import sys
from importlib.util import find_spec
from typing import Any

import click

from mansard.cli.listings import say_left_out
from mansard.cli.question import Asked, question_options
from mansard.core.errors import SpecError
from mansard.query.plugins import whole

LOOPBACK = ("127.0.0.1", "localhost", "::1")
START = {"model": "llama-3.1-8b", "on": "h100-sxm"}
"""What the page shows when the command names nothing: sizes are the command line's defaults."""


@click.command(short_help="The viewer: a page that shows where the time goes.")
@question_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True,
              help="Port; 0 takes a free one.")  # fmt: skip
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Let other machines ask; a --host that is not this one needs it.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def serve(asked: Asked, host: str, port: int, allow_remote: bool, open_page: bool) -> None:
    """Serve the viewer on this machine; MODEL and --on say what the page begins with.

    \b
      mansard serve --open
      mansard serve ./config.json --on h100-sxm:8 --port 0
    """  # noqa: D301 - click reads the \b as "keep these lines"
    local = host in LOOPBACK
    if not local and not allow_remote:
        raise SpecError(f"--host {host} lets other machines ask",
                        hint="add --allow-remote if that is meant")  # fmt: skip
    if not all(find_spec(name) for name in ("starlette", "uvicorn")):
        raise SpecError("the viewer needs starlette and uvicorn, which are not installed",
                        hint="pip install 'mansard[serve]'")  # fmt: skip
    say_left_out(whole())
    names, start = begin(asked)
    listening = _listen(host, port)
    url = _url(host, listening)
    print(f"mansard serves {url} (Ctrl-C ends it)", flush=True)
    if allow_remote:
        print("WARNING: --allow-remote: every machine that reaches this one can ask questions, "
              "upload models and make it compute; nothing asks for a password.",
              file=sys.stderr, flush=True)  # fmt: skip
    if open_page:
        click.launch(url)
    # Whoever asks from now on waits in the socket's queue for what is imported here.
    import uvicorn

    from mansard.serve.app import LOOPBACK as NAMES
    from mansard.serve.app import make_app

    application = make_app(names, start=start, hosts=None if allow_remote else NAMES)
    config = uvicorn.Config(application, log_level="warning", server_header=False,
                            access_log=False, ws="none", timeout_graceful_shutdown=1,
                            h11_max_incomplete_event_size=64_000)  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


def begin(asked: Asked) -> tuple[Any, dict[str, Any]]:
    """Return the names of a server and the question its page begins with.

    A model or chip that the command line names by its path can be named by the page from then on.

    Raises:
        MansardError: one of them cannot be read.
    """
    from mansard.frontends.hf import bundled
    from mansard.serve.names import Names

    settled = {n: s.value for n, s in asked.settings().items() if s.origin != "default"}
    start: dict[str, Any] = START | {k: v for k, v in settled.items() if not k.startswith("set.")}
    changed = {k.removeprefix("set."): v for k, v in settled.items() if k.startswith("set.")}
    if changed:
        start["set"] = changed
    names, model = Names(), str(start["model"])
    if not bundled.is_bundled(model):
        from mansard.query.source import load

        load(model)
        names.models[model] = model
    chip = str(start["on"])
    if chip.lower().endswith(".toml"):
        from mansard.query.target import load_hardware

        name = load_hardware(chip).id
        names.chips[name] = chip
        start["on"] = name
    return names, start


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, the protocol lets asyncio switch Nagle's algorithm off: 40 ms of each answer.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(128)  # whoever reads the address may ask at once, and waits
    except OSError as error:
        found.close()
        raise SpecError(f"cannot listen on {host}:{port}: {error.strerror or error}",
                        hint="another --port, or --port 0 for a free one") from error  # fmt: skip
    return found


def _url(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}/"
