"""Open your wardrobe as a page: add photos of your clothes, search with a photo, correct boxes and classes.

Usage: python -m stages.run app [--port 8300] [--store FOLDER]

Serves a page on this machine alone, until Ctrl-C. It uses the detectors and the classifier that the active profile has
trained (`make repro` first); start it again after another repro. The page contacts no other server.

Other machines reach it only if you say so: --host is the address to listen at, --allow-host a name under which they
open it. There is no password: whoever reaches the page sees the pictures of your wardrobe. With --allow-changes they
may also add their own photos, and folders of this machine.
"""

import argparse
import socket
from pathlib import Path

from stages.core.errors import StageError
from stages.runner.stage import new_parser, one_message
from stages.web.guard import LOOPBACK, hosts_allowed, is_loopback

PORT = 8300
CONNECTIONS = 200  # at once; a browser opens six


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        StageError: the port is taken, or the address does not belong to this machine.
    """
    try:
        if not 0 <= port < 2**16:
            raise OverflowError("ports are numbers from 0 to 65535")
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise StageError(f"{host}:{port}: {why}. Choose another address or port: seamline app --port 8301.") from None


def address_of(host: str, port: int) -> str:
    """The address that a browser on this machine opens."""
    shown = host if host not in ("0.0.0.0", "::", "") else LOOPBACK[0]
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def main() -> None:
    """Parse, load, serve."""
    from stages.app.wardrobe import DEFAULT_STORE

    parser = new_parser(__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free port (default: %(default)s)")
    parser.add_argument("--host", default=LOOPBACK[0], help="address to listen at (default: this machine alone)")
    more = "name or address under which others open the page; may be given several times"
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help=more)
    parser.add_argument("--allow-changes", action="store_true", help="let others change the wardrobe")
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE, help="folder of the wardrobe's store")
    args = parser.parse_args()
    with one_message():
        serve(args)


def serve(args: argparse.Namespace) -> None:
    """Load the models and serve the page until it is stopped.

    Raises:
        StageError: there are no trained models, or the page cannot be served there.
    """
    hosts = hosts_allowed(args.host, args.allow_host)

    from stages.app.models import Models
    from stages.app.wardrobe import Wardrobe

    models = Models.open()
    with listen(args.host, args.port) as listening:
        import uvicorn

        from stages.web.site import create

        app = create(Wardrobe(models, args.store), hosts, is_loopback(args.host) or args.allow_changes)
        config = uvicorn.Config(
            app, access_log=False, server_header=False, proxy_headers=False, log_config=None, ws="none", http="h11",
            limit_concurrency=CONNECTIONS, timeout_keep_alive=30, timeout_graceful_shutdown=5,
        )  # fmt: skip
        print(f"Your wardrobe: {address_of(args.host, listening.getsockname()[1])}  (Ctrl-C ends it)", flush=True)
        uvicorn.Server(config).run(sockets=[listening])
