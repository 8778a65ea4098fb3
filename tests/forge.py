"""Git over HTTP for tests: real `git http-backend` behind a small server, with a password."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

USER, PASSWORD = "robot", "s3cr3t-token"


class Forge(http.server.BaseHTTPRequestHandler):
    """Git over HTTP for one folder, for those who know the password."""

    root = ""
    timeout = 120  # of a client that went away without a word

    def answer(self) -> None:
        expected = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=self.body(),
            capture_output=True,
            check=True,
            env=self.environment(path, query),
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815  # the names that http.server calls

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def environment(self, path: str, query: str) -> Mapping[str, str]:
        return {
            "PATH": os.pathsep.join(os.get_exec_path()),
            "GIT_PROJECT_ROOT": self.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server whose clients may go away in the middle of a sentence."""

    def handle_error(self, *_: Any) -> None:
        """Say nothing: the client says what it missed."""


def serve(handler: type[Forge], address: str, certificate: Path | None) -> Server:
    """Serve at a free port of an address until `shutdown`. certificate: None for plain HTTP."""
    server = Server((address, 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Hands are shaken by the thread of each client: one that was cut off would stop them all.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def certificate_for(folder: Path, *addresses: str) -> Path:
    """Make a certificate that signs itself, with its key in the same file."""
    made = folder / "certificate.pem"
    names = ",".join(f"IP:{address}" for address in addresses)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", made, "-out", folder / "cert", "-days", "2",
         "-subj", "/CN=localhost",
         "-addext", f"subjectAltName={names}"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_bytes(made.read_bytes() + (folder / "cert").read_bytes())
    return made


def credentials(folder: Path, password: str = PASSWORD) -> str:
    """Write the file with the password that agents and reconcilers are given."""
    made = folder / "the credentials"
    made.write_text(f"username={USER}\npassword={password}\n")
    made.chmod(0o600)
    return str(made)
