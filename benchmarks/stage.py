"""A process for each language model that is measured: its memory is its own, and so are its threads."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any, Callable, NamedTuple, Sequence

import generators
from generators import Generator, Text
from machine import OpenMP, anonymous_memory


class Start(NamedTuple):
    seconds: float  # from opening the file to the logits after a first prompt
    compile_seconds: float  # of these
    memory: int  # anonymous bytes that opening took


class Actor:
    """The process's side."""

    def __init__(self, make: Callable[[], Generator]) -> None:
        self.make = make
        self.memory_before = anonymous_memory()

    def start(self, prompt: Sequence[int]) -> Start:
        start = time.perf_counter()
        self.generator = self.make()
        memory = self.memory()
        self.generator.read(prompt)
        seconds = time.perf_counter() - start
        OpenMP.check_alone()
        return Start(seconds, self.generator.compile_seconds, memory)

    def memory(self) -> int:
        """Anonymous bytes beyond those of Python and its packages."""
        return anonymous_memory() - self.memory_before

    def prefill(self, tokens: Sequence[int]) -> float:
        return generators.prefill(self.generator, tokens)

    def decode(self, prompt: Sequence[int], count: int) -> Text:
        return generators.decode(self.generator, prompt, count)


def act(
    connection: Connection, cores: set[int], threads: int, make: Callable[[], Generator]
) -> None:
    os.sched_setaffinity(0, cores)  # OpenMP may have put the thread that started this one on a core
    OpenMP().set_threads(threads)
    actor = Actor(make)
    while True:
        try:
            method, *arguments = connection.recv()
        except EOFError:  # closed at the other end
            return
        try:
            connection.send((True, getattr(actor, method)(*arguments)))
        except (MemoryError, RuntimeError) as error:
            connection.send((False, str(error)))


class Stage:
    """Our side: Actor's methods, called in the process."""

    def __init__(
        self, name: str, cores: set[int], threads: int, make: Callable[[], Generator]
    ) -> None:
        self.name = name
        spawn = multiprocessing.get_context("spawn")  # nothing of this process's OpenMP is there
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=act, args=(theirs, cores, threads, make), daemon=True)
        self.process.start()
        theirs.close()
        self.memory()  # when it answers, it has imported what it needs

    def _call(self, *request: Any) -> Any:
        self.connection.send(request)
        try:
            done, result = self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise RuntimeError(f"the process of {self.name} ended by itself ({code})") from None
        if not done:
            raise RuntimeError(f"{self.name}: {result}")
        return result

    def start(self, prompt: Sequence[int]) -> Start:
        return self._call("start", prompt)

    def memory(self) -> int:
        return self._call("memory")

    def prefill(self, tokens: Sequence[int]) -> float:
        return self._call("prefill", tokens)

    def decode(self, prompt: Sequence[int], count: int) -> Text:
        return self._call("decode", prompt, count)

    def close(self) -> None:
        self.connection.close()
        self.process.join()
