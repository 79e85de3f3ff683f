"""moto's S3 API on loopback: ``python s3_server.py PORT FOLDER``, until it is killed.

Where FOLDER has a file ``full``, it answers what a server over its quota answers, for every object that is written.
Where it has a file ``public``, everybody reads objects: moto checks signatures, but breaks on a request without one.
"""

import sys
from pathlib import Path

from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

OVER = b"<?xml version='1.0'?><Error><Code>QuotaExceeded</Code><Message>The quota of this bucket is used up.</Message></Error>"


def main() -> None:
    """Serve."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ, start_response):
        writes = environ["REQUEST_METHOD"] in ("PUT", "POST") and "/files/" in environ["PATH_INFO"]
        if writes and (folder / "full").exists():
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("507 Insufficient Storage", [("Content-Type", "application/xml")])
            return [OVER]
        reads = environ["REQUEST_METHOD"] in ("GET", "HEAD") and "/team/" in environ["PATH_INFO"]
        if "HTTP_AUTHORIZATION" in environ or not (folder / "public").exists():
            return moto(environ, start_response)
        if not reads:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"AccessDenied"]
        checked, settings.INITIAL_NO_AUTH_ACTION_COUNT = settings.INITIAL_NO_AUTH_ACTION_COUNT, float("inf")
        try:
            return list(moto(environ, start_response))
        finally:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = checked

    run_simple("127.0.0.1", port, application, threaded=True)


main()
