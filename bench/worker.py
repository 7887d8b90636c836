"""A benchmark's worker as its driver sees it, and what a worker in Python does (one in C++: bench/line_server.h)."""

import json
import os
import subprocess
import sys


class Worker:
    """A program that stays loaded and answers one JSON line with another."""

    def __init__(self, name, command):
        self.name = name
        # Waiting threads must sleep: spinning ones starve the others as soon as a core is busy elsewhere.
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.greeting = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"error: {self.name} ended early (exit {self.process.wait()})")
        reply = json.loads(line)
        if "error" in reply:
            raise SystemExit(f"error: {self.name}: {reply['error']}")
        return reply

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(greeting, answer):
    """Announces a worker with `greeting`, then answers the driver's commands until there are no more."""
    print(json.dumps(greeting), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # the driver shows it and ends
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
