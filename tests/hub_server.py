"""A local stand-in for the model hub: the few answers that its client asks for, over real HTTP."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """`repositories` maps (kind, id) to a revision and a folder of files; `trouble` is how it refuses or fails.

    Kinds are `models` and `datasets`; trouble is an HTTP status with an error code, "slow" or "cut".
    """

    repositories: dict[tuple[str, str], tuple[str, Path]] = field(default_factory=dict)
    trouble: tuple[int, str] | str | None = None
    false_hashes: bool = False  # of weights
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": hub}))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(length) or b"{}")
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        self.hub.tokens.add(self.headers.get("Authorization") or "")
        if isinstance(self.hub.trouble, tuple):
            return self._refuse(*self.hub.trouble)
        if path.startswith("/api/"):
            return self._describe(path.removeprefix("/api/"))
        return self._file(path.removeprefix("/"))

    def _describe(self, path: str) -> None:
        kind, owner, name, *rest = [*path.split("/"), "", ""]
        if (kind, f"{owner}/{name}") not in self.hub.repositories:
            return self._refuse(404, "RepoNotFound")
        revision, folder = self.hub.repositories[kind, f"{owner}/{name}"]
        if rest[0] == "tree":
            inside = sorted(folder.joinpath(*rest[2:]).iterdir())
            return self._answer(200, json.dumps([_entry(file, folder) for file in inside]).encode())
        if rest[0] == "paths-info":
            wanted = [folder / name for name in self.body["paths"]]
            return self._answer(200, json.dumps([_entry(file, folder) for file in wanted if file.exists()]).encode())
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        siblings = [{"rfilename": str(file.relative_to(folder)), "size": file.stat().st_size} for file in files]
        document = {"id": f"{owner}/{name}", "sha": revision, "siblings": siblings, "private": False, "tags": []}
        return self._answer(200, json.dumps(document).encode())

    def _file(self, path: str) -> None:
        kind = "datasets" if path.startswith("datasets/") else "models"
        owner, name, _, _, *file = path.removeprefix("datasets/").split("/")
        if (kind, f"{owner}/{name}") not in self.hub.repositories:
            return self._refuse(404, "RepoNotFound")
        revision, folder = self.hub.repositories[kind, f"{owner}/{name}"]
        place = folder.joinpath(*file)
        if not place.is_file():
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": revision})
        content = place.read_bytes()
        headers = {"X-Repo-Commit": revision, "ETag": f'"{_sha1(place)}"', "Accept-Ranges": "bytes"}
        if place.suffix == ".safetensors":
            stated = hashlib.sha256(content + b"?" * self.hub.false_hashes).hexdigest()
            headers["X-Linked-Etag"] = f'"{stated}"'
            headers["X-Linked-Size"] = str(len(content))
        return self._answer(200, content, headers)

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, b'{"error": "no"}', {"X-Error-Code": code, **(headers or {})})

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.trouble == "slow":
            time.sleep(60)
        if self.hub.trouble == "cut":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        pass


def _entry(file: Path, folder: Path) -> dict[str, object]:
    kind, size, oid = ("file", file.stat().st_size, _sha1(file)) if file.is_file() else ("directory", 0, "0" * 40)
    return {"type": kind, "path": str(file.relative_to(folder)), "size": size, "oid": oid}


def _sha1(file: Path) -> str:
    """As git names it, about: one hash for one content."""
    return hashlib.sha1(file.read_bytes()).hexdigest()
