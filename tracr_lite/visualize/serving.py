"""A small server, on this machine only, that runs a model on what is typed into its page."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracr_lite.errors import TracrLiteError
from tracr_lite.visualize.errors import MissingDependency, VisualizeError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
NAMES = [HOST, "localhost"]  # under which a browser may ask
LARGEST = 100_000  # bytes of a request

Run = Callable[[str], dict[str, Any]]


def make_app(page: str, run: Run) -> Starlette:
    """The application: `GET /` is the page, `POST /run` answers `{"input": text}`.

    Only browsers that ask for this machine by name are answered, and only requests in JSON,
    which pages of other sites may not send.

    **Arguments:** `run`: from what was typed to the data of the page; what it raises on purpose
    is told to the user.
    **Raises:** `MissingDependency` without starlette.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.responses import HTMLResponse, JSONResponse
        from starlette.routing import Route
    except ImportError as error:
        raise _missing() from error

    def home(request: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    async def answer(request: Request) -> Response:
        try:
            typed = _typed(request.headers.get("content-type", ""), await _body(request))
            return JSONResponse(await run_in_threadpool(run, typed))
        except TracrLiteError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    routes = [Route("/", home), Route("/run", answer, methods=["POST"])]
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=NAMES)
    return Starlette(routes=routes, middleware=[trusted])


async def _body(request: Request) -> bytes:
    """**Raises:** `VisualizeError` if it is too large."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > LARGEST:
            raise VisualizeError(f"the input is longer than {LARGEST:,} bytes")
    return found


def _typed(kind: str, body: bytes) -> str:
    """**Raises:** `VisualizeError` for anything but `{"input": text}` in JSON."""
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise VisualizeError("the request is not JSON")
    try:
        text = json.loads(body)["input"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise VisualizeError('the request is not {"input": text}') from error
    if not isinstance(text, str):
        raise VisualizeError('the request is not {"input": text}')
    return text


def serve(page: str, run: Run, *, port: int = 0, ready: Callable[[str], None] = print) -> None:
    """Serves until it is interrupted.

    **Arguments:** `port`: 0 for any that is free; `ready`: is called with the address once it
    is taken.
    **Raises:** `MissingDependency` without uvicorn; `VisualizeError` if the port is taken.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _missing() from error
    config = uvicorn.Config(make_app(page, run), log_level="warning", lifespan="off", ws="none")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((HOST, port))
            taken.listen()
        except OSError as error:
            why = error.strerror or str(error)
            raise VisualizeError(
                f"port {port} cannot be used: {why}; choose another"
            ) from error
        ready(f"http://{HOST}:{taken.getsockname()[1]}/")
        try:
            uvicorn.Server(config).run(sockets=[taken])
        except KeyboardInterrupt:
            return


def _missing() -> MissingDependency:
    return MissingDependency(
        "--serve needs starlette and uvicorn: pip install 'tracr_lite[serve]'"
    )
