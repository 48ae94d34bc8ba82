"""A process that owns a store: `python -m tests.store.owner_process HOME [--no-serve] ...`.

It says what happens as JSON lines, and obeys words on its standard input: `commit` stores
one exam, `commit N` N exams in N commits, `pid`, and the end of input closes the store.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from dose_lib.settings import load_settings
from dose_lib.store import Store
from tests.store.exams import ct_part, incoming, merge, unchanged


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    home, *options = sys.argv[1:]
    values = dict(o.removeprefix("--").split("=") for o in options if "=" in o)
    settings = load_settings(
        Path(home),
        store_query_timeout_s=float(values.get("timeout", 60)),
        store_memory=values.get("memory", "1GB"),
        store_port=int(values.get("port", 0)),
    )
    store = Store.open(settings, merge=merge, normalise=unchanged)
    for number in range(int(values.get("exams", 0))):
        store.commit([incoming(ct_part(f"1.2.{number}", (1, 2, 3)), number=number)])
    if "--no-serve" not in options:
        store.serve(is_dedicated=True)
    say(ready=True, pid=os.getpid())
    done = 0
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "commit":
            slowest = 0.0
            for _ in range(int(numbers[0]) if numbers else 1):
                started = time.perf_counter()
                store.commit([incoming(ct_part(f"9.{os.getpid()}.{done}"), number=done)])
                slowest = max(slowest, time.perf_counter() - started)
                done += 1
            say(done=done, slowest=slowest)
        elif word == "commit-forever":
            while True:
                store.commit([incoming(ct_part(f"9.{os.getpid()}.{done}"), number=done)])
                done += 1
                say(done=done)
    store.close()


if __name__ == "__main__":
    main()
