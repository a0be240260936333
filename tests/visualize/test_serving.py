"""The server: who it answers, and what it refuses."""

import json

import pytest

from tracr_lite.errors import InputError

pytest.importorskip("starlette", reason="needs starlette (the extra `serve`)")


def ask(app, method, path, headers, body=b""):
    """Status and body of one request, without a network."""
    import asyncio

    sent = []
    named = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": ""}

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent)


def made():
    from tracr_lite.visualize.serving import make_app

    def run(typed):
        if typed == "bad":
            raise InputError("no such token")
        return {"typed": typed}

    return make_app("<p>page</p>", run)


HERE = {"Host": "127.0.0.1:8000", "Content-Type": "application/json"}


def test_the_page_and_the_answers():
    assert ask(made(), "GET", "/", HERE) == (200, b"<p>page</p>")
    status, body = ask(made(), "POST", "/run", HERE, b'{"input": "a b"}')
    assert (status, json.loads(body)) == (200, {"typed": "a b"})


def test_errors_of_the_input_are_told():
    status, body = ask(made(), "POST", "/run", HERE, b'{"input": "bad"}')
    assert (status, json.loads(body)) == (400, {"error": "no such token"})


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (HERE | {"Content-Type": "text/plain"}, b'{"input": "a"}'),
        (HERE, b"not json"),
        (HERE, b"[1]"),
        (HERE, b'{"input": 3}'),
        (HERE, b'{"input": "' + b"a" * 200_000 + b'"}'),
        (HERE | {"Host": "example.com"}, b'{"input": "a"}'),
    ],
    ids=["form", "text", "list", "number", "long", "other host"],
)
def test_other_requests_are_refused(headers, body):
    assert ask(made(), "POST", "/run", headers, body)[0] == 400
