"""A benchmark's worker as its driver sees it: bench/line_server.h is the other end."""

import json
import os
import subprocess


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
