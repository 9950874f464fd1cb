"""A standalone cluster of Spark on the loopback: `python benchmarks/standalone.py [--workers N]`.

A master and its workers, each a process. Every worker has one core (and a GiB), so that what one more brings
shows.
It is for tests and benchmarks: nobody has to sign in.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self


class Process:
    """One of Spark's daemons, in a group with all that it starts. `ui`: its pages, and JSON below them."""

    def __init__(self, kind: str, *arguments: str, ready: str) -> None:
        """Returns when its log has said `ready`, a pattern, which is kept as `said`."""
        import pyspark

        command = [Path(pyspark.__file__).parent / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}"]
        local = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        }
        self.process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--webui-port", "0", *arguments],
            env={**os.environ, **local}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.said = self.ui = ""
        assert self.process.stderr is not None
        log: list[str] = []
        for line in self.process.stderr:
            log.append(line)
            if found := re.search(r"WebUI.* started at http://\S+:(\d+)", line):
                self.ui = f"http://127.0.0.1:{found[1]}"
            self.said = found[0] if (found := re.search(ready, line)) else self.said
            if self.ui and self.said:
                break
        else:
            self.close()
            raise RuntimeError(f"{kind} did not start: {''.join(log)}")
        self._drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._drain.start()

    def kill(self) -> None:
        """As if its machine were lost: the daemon, and its executors."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()


class Cluster:
    """`url`: of the master, for `--engine`."""

    def __init__(self, stack: ExitStack, memory: str) -> None:
        self._stack = stack
        self._memory = memory
        self.master = Process("master.Master", "--port", "0", ready=r"spark://\S+:\d+")
        stack.callback(self.master.close)
        self.url = self.master.said
        self.workers: list[Process] = []

    def add_worker(self) -> Self:
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        worker = Process(
            "worker.Worker", "--cores", "1", "--memory", self._memory, "--work-dir", directory, self.url,
            ready="Successfully registered with master",
        )  # fmt: skip
        self._stack.callback(worker.close)
        self.workers.append(worker)
        return self


@contextmanager
def cluster(workers: int, memory: str = "1g") -> Generator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(stack, memory)
        for _ in range(workers):
            made.add_worker()
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # each ends it, and its processes
    with cluster(workers) as made:
        print(made.url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
