"""moto's S3 API on loopback: ``python s3_server.py PORT FOLDER``, until it is killed.

Where FOLDER has a file ``full``, it answers what a server over its quota answers, for every object that is written.
"""

import sys
from pathlib import Path

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
        return moto(environ, start_response)

    run_simple("127.0.0.1", port, application, threaded=True)


main()
