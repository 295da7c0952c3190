"""Processes that end with the check."""

import re
import socket
import subprocess
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A program whose output goes into a file."""

    def __init__(self, command, log, environment=None):
        self.name, self.log = command[0].rsplit("/", 1)[-1], log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)

    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended ({self.process.returncode}):\n{self.output()[-2000:]}")

    def told(self, pattern, seconds=60):
        """What the pattern's group finds in the output, once it is there."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = re.search(pattern, self.output(), flags=re.M)
            if found:
                return found[1]
            self.check()
            time.sleep(0.05)
        raise SystemExit(f"{self.name} has not told {pattern} within {seconds} seconds:\n{self.output()[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
