"""Checks each request before the page sees it, and adds security headers to each answer.

Any site that is open in the same browser can send requests to a page on 127.0.0.1. Two attacks follow. In DNS
rebinding, a site makes its own name point to 127.0.0.1 and reads the answers as its own; the Host header is foreign.
In cross-site request forgery, a site sends requests that change something; the Origin header is foreign. Both are
refused.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from stages.core.errors import StageError, shown

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = ("0.0.0.0", "::", "")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Nothing but the page's own files: no inline script or style, no frame around it, no form that leads elsewhere.
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


def host_of(value: str) -> str:
    """The name or address in a Host header or the host part of an Origin, in lower case, without port and brackets.

    Empty if the value is no host: a host contains neither blanks nor an ``@``.
    """
    if not value or any(sign in value for sign in "/@\\?# \t,"):
        return ""
    try:
        return (urlsplit(f"//{value}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a server that is bound to ``host`` can be reached from this machine alone."""
    return host in LOOPBACK or host.startswith("127.")


def hosts_allowed(bind: str, allowed: Collection[str]) -> frozenset[str]:
    """Hosts that the page answers to.

    Args:
        bind: the address that the server listens at.
        allowed: further names that the user gave.

    Raises:
        StageError: it listens at every address of the machine and no name was given, or a name is no host.
    """
    named = [host_of(name) for name in allowed]
    if "" in named:
        raise StageError(f"--allow-host {shown(allowed)}: expected a name or address without scheme and path.")
    if is_loopback(bind):
        return frozenset({*LOOPBACK, bind, *named})
    if bind in ANY_ADDRESS:
        if not named:
            raise StageError(
                f"--host {bind or '::'} listens at every address of this machine: name those under which the page is "
                "opened by --allow-host, such as --allow-host 192.168.1.20 or --allow-host my-machine.local."
            )
        return frozenset({*LOOPBACK, *named})
    return frozenset({host_of(f"[{bind}]" if ":" in bind else bind), *named})


class Guard:
    """Middleware that refuses foreign callers and adds ``HEADERS`` to every answer."""

    def __init__(self, app: Application, hosts: Iterable[str]) -> None:
        """``hosts``: as ``hosts_allowed`` returns them."""
        self.app = app
        self.hosts = frozenset(hosts)

    def refusal(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Status and message for a request that is refused; None if it may pass."""
        values: dict[str, list[str]] = {}
        for name, value in headers:
            values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = values.get("host", [])
        if len(hosts) != 1 or host_of(hosts[0]) not in self.hosts:
            return 421, (
                f"This page does not answer to the host {', '.join(hosts) or '(none)'}. "
                "Open it under the address that `seamline app` printed, or start it with --allow-host."
            )
        for origin in values.get("origin", []):
            # The browser sets it to the address of the calling page, which must be this host and port.
            if method not in SAFE_METHODS and urlsplit_or_none(origin) != hosts[0].lower():
                return 403, f"A page of {origin} may not change anything here."
        site = values.get("sec-fetch-site", ["none"])[0]
        navigates = values.get("sec-fetch-mode", [""])[0] == "navigate" and method == "GET"
        if site in ("cross-site", "same-site") and not navigates:
            return 403, "Another site may not read this page."
        return None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", [])}
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *(pair for pair in added if pair[0] not in own)]
            await send(message)

        refused = self.refusal(scope["method"], scope["headers"])
        if refused is None:
            await self.app(scope, receive, strict)
            return
        status, message = refused
        body = message.encode("utf-8", "replace")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await strict({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def urlsplit_or_none(origin: str) -> str | None:
    """Host and port of an Origin header, in lower case; None if it is ``null`` or no http address."""
    try:
        address = urlsplit(origin)
    except ValueError:
        return None
    return address.netloc.lower() if address.scheme in ("http", "https") else None
