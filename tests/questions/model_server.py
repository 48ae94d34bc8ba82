"""A server on loopback that speaks the wire formats of OpenAI and Ollama with given answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """Address of the server, what it was sent, and what it answers in turn."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    refuses_schema: bool = False
    delay_s: float = 0.0


@contextmanager
def serve(*answers: Any, refuses_schema: bool = False, delay_s: float = 0.0) -> Iterator[Served]:
    """Answer requests with `answers` in turn, the last one for ever."""
    state = Served("", list(answers), [], refuses_schema, delay_s)
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.received.append(body)
            if state.delay_s:
                stop.wait(state.delay_s)
            asks_schema = (body.get("response_format") or {}).get("type") == "json_schema"
            if state.refuses_schema and asks_schema:
                self._send(500, {"error": {"message": "Input should be 'text' or 'json_object'"}})
                return
            answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self._send(200, _ollama(body, text) if "/api/" in self.path else _openai(body, text))

        def _send(self, status: int, data: Any) -> None:
            raw = json.dumps(data).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
            except OSError:
                return  # the asker has gone

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _openai(body: dict[str, Any], text: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": text}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _ollama(body: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "model": body["model"],
        "created_at": "2026-11-22T00:00:00Z",
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": "stop",
    }
