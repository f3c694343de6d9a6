"""Checkpoints: whole or not there, whatever happens to the process, the files or the machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from lowbit import _lowbit, optim
from lowbit.errors import LowbitError
from optimizer_reference import assert_same_states, gradients, parameters

SHAPES = {"w": (64, 128), "b": (3,)}


def compiled(shards=None, rule: str = "sgd", shapes=SHAPES):
    return optim.compile(rule, shapes, "dynamic8", shards=shards)


@pytest.fixture(scope="module")
def halves():
    """Of two processes: each has a half of 'w', and 'b'."""
    return [compiled({"w": shard}) for shard in optim.split(SHAPES["w"], 2)]


@pytest.fixture(scope="module")
def whole():
    return compiled()


def stepped(optimizer, steps: int = 1) -> optim.State:
    """All shards together are one state."""
    params, state = parameters(optimizer.shapes), optimizer.init()
    for step in range(steps):
        grads = gradients(SHAPES, step)
        _, box = optimizer.part("w", "m")
        grads["w"] = grads["w"][box.offset[1] // 128 : box.end[1] // 128]
        optimizer.step(params, grads, state)
    return state


def saved(folder, optimizers, steps: int = 1) -> list[str]:
    names = [optim.save_shards(folder, o, stepped(o, steps)) for o in optimizers]
    optim.commit_shards(folder, names)
    return names


# --------------------------------------------------------------------------------------------------
# Killed while writing
# --------------------------------------------------------------------------------------------------

LOOP = """
import functools, os, sys
import numpy as np
from lowbit import _lowbit, optim
_lowbit.Program = functools.cache(_lowbit.Program)
root, shapes = sys.argv[1], {"w": (512, 1024)}
optimizers = [optim.compile("sgd", shapes, "dynamic8", shards={"w": s}) for s in optim.split(shapes["w"], 4)]
one = optim.compile("sgd", shapes, "dynamic8")
folder, file = root + "/folder", root + "/file"
def begun(path, optimizer):
    return optim.load_state(path, optimizer) if os.path.exists(path) else optimizer.init()
states = [begun(folder, o) if os.path.exists(folder + "/index.json") else o.init() for o in optimizers]
state = begun(file, one)
def step(optimizer, state):
    shape = optimizer.shapes["w"]
    optimizer.step({"w": np.zeros(shape, np.float32)}, {"w": np.full(shape, state.step % 3 - 1, np.float32)}, state)
print("ready", flush=True)
while True:
    for o, s in zip(optimizers, states):
        step(o, s)
    optim.commit_shards(folder, [optim.save_shards(folder, o, s) for o, s in zip(optimizers, states)])
    step(one, state)
    optim.save_state(file, one, state)
"""


def test_a_process_that_is_killed(tmp_path):
    """At any moment, many times: the old checkpoint or the new one is there, whole, and the next process goes on from it as if nothing had been."""
    generator = random.Random(0)
    optimizer = optim.compile("sgd", {"w": (512, 1024)}, "dynamic8")
    expected, params = optimizer.init(), {"w": np.zeros((512, 1024), np.float32)}
    history = {0: expected}
    reached = [0, 0]
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", LOOP, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(generator.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        for i, path in enumerate((tmp_path / "folder", tmp_path / "file")):
            if not (path / "index.json" if i == 0 else path).exists():
                assert reached[i] == 0
                continue
            state = optim.load_state(path, optimizer)
            assert state.step >= reached[i]
            reached[i] = state.step
            while max(history) < state.step:
                last = history[max(history)]
                tensors = {"w": {"m": {n: a.copy() for n, a in last.tensors["w"]["m"].items()}}}
                following = optim.State(tensors, last.step)
                grads = {"w": np.full((512, 1024), last.step % 3 - 1, np.float32)}
                optimizer.step(params, grads, following)
                history[following.step] = following
            assert_same_states(state, history[state.step])
    assert min(reached) > 2


class Killed(BaseException):
    pass


def test_every_call_may_be_the_last(tmp_path, halves, whole, monkeypatch):
    """Of the calls that change the folder: after each number of them it has the old checkpoint or the new one."""
    calls = [(os, "replace"), (os, "fsync"), (Path, "unlink"), (_lowbit, "write_archive")]
    found = []
    while not found or found[-1][0]:
        left = len(found)
        folder = tmp_path / str(left)
        saved(folder, halves, 1)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with monkeypatch.context() as patch:
            for owner, name in calls:

                def counted(*arguments, own=getattr(owner, name), **options):
                    nonlocal left
                    if not left:
                        raise Killed
                    left -= 1
                    return own(*arguments, **options)

                patch.setattr(owner, name, counted)
            try:
                saved(folder, halves, 2)
                is_killed = False
            except Killed:
                is_killed = True
        step = optim.load_state(folder, whole).step
        assert_same_states(optim.load_state(folder, whole), stepped(whole, step))
        if step == 1:
            assert all((folder / name).read_bytes() == data for name, data in before.items())
        found.append((is_killed, step))
    # Two files, a file and twice a folder brought to the disk, a name, two files removed.
    assert [step for _, step in found] == [1] * 5 + [2] * 4


def test_what_killed_processes_left_is_removed(tmp_path, halves):
    first = saved(tmp_path, halves, 1)
    left = tmp_path / f".{first[0]}.0123abcd.tmp"
    left.write_bytes(b"half a file")
    optim.save_shards(tmp_path, halves[0], stepped(halves[0], 2))  # not committed
    (tmp_path / "notes.txt").write_text("somebody's own")
    third = saved(tmp_path, halves, 3)
    assert {p.name for p in tmp_path.iterdir()} == {*third, "index.json", "notes.txt"}


def test_it_is_the_old_one_until_it_is_committed(tmp_path, halves, whole):
    saved(tmp_path, halves, 1)
    names = [optim.save_shards(tmp_path, o, stepped(o, 2)) for o in halves]
    assert_same_states(optim.load_state(tmp_path, whole), stepped(whole, 1))
    with pytest.raises(LowbitError, match="no file holds 'w/m'"):
        optim.commit_shards(tmp_path, names[:1])
    assert_same_states(optim.load_state(tmp_path, whole), stepped(whole, 1))
    optim.commit_shards(tmp_path, names)
    assert_same_states(optim.load_state(tmp_path, whole), stepped(whole, 2))
    # Again, as after a crash between the two: the same files.
    assert saved(tmp_path, halves, 2) == names
    assert_same_states(optim.load_state(tmp_path, whole), stepped(whole, 2))


# --------------------------------------------------------------------------------------------------
# Damage
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "shard", "index"])
def test_damaged_bytes(kind, tmp_path, halves, whole):
    """Whichever bit is another one: an error that names the file or the folder, or nothing that is read."""
    expected = stepped(whole)
    if kind == "file":
        path = root = tmp_path / "states"
        optim.save_state(path, whole, expected)
    else:
        names, root = saved(tmp_path, halves), tmp_path
        path = tmp_path / (names[1] if kind == "shard" else "index.json")
    good = path.read_bytes()
    generator = random.Random(0)
    refused = 0
    places = range(0, len(good), 1 if kind == "index" else 11)
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << generator.randrange(8)
        path.write_bytes(bad)
        try:
            state = optim.load_state(root, whole)
        except LowbitError as error:
            assert str(root) in str(error)
            refused += 1
        else:
            assert_same_states(state, expected)
    assert refused > 0.8 * len(places)
    for size in (0, 1, 7, 8, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(LowbitError, match=str(root)):
            optim.load_state(root, whole)


def test_a_missing_file(tmp_path, halves, whole):
    names = saved(tmp_path, halves)
    (tmp_path / names[1]).unlink()
    with pytest.raises(LowbitError, match=f"the file '{names[1]}' of the checkpoint is missing"):
        optim.load_state(tmp_path, whole)


def test_a_file_under_anothers_name(tmp_path, halves, whole):
    names = saved(tmp_path, halves)
    shutil.copy(tmp_path / names[0], tmp_path / names[1])
    with pytest.raises(LowbitError, match="it is not what its name says"):
        optim.load_state(tmp_path, whole)


def test_a_folder_without_an_index(tmp_path, whole):
    with pytest.raises(LowbitError, match="index.json: No such file"):
        optim.load_state(tmp_path, whole)
    with pytest.raises(LowbitError, match="states"):
        optim.load_state(tmp_path / "states", whole)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"files": []}', '{"files": [1]}', '{"files": ["../w"]}', '{"file": ["a"]}']
)
def test_an_index_that_is_none(text, tmp_path, halves, whole):
    saved(tmp_path, halves)
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(LowbitError, match=f"{tmp_path}/index.json: "):
        optim.load_state(tmp_path, whole)


# --------------------------------------------------------------------------------------------------
# Files that do not belong together
# --------------------------------------------------------------------------------------------------


def held(begin: int, rows: int):
    return compiled({"w": optim.Shard((begin, 0), (rows, 128))})


@pytest.mark.parametrize(
    "boxes, message",
    [
        ([(0, 32), (40, 24)], r"no file holds 'w/m' \[0:1, 4096:5120\]"),
        ([(8, 56)], r"no file holds 'w/m' \[0:1, 0:1024\]"),
        ([(0, 32), (24, 40)], r"several files hold 'w/m' \[0:1, 3072:4096\]"),
        ([], "a checkpoint has one file or more"),
    ],
)
def test_gaps_and_overlaps(boxes, message, tmp_path):
    optimizers = [held(*box) for box in boxes]
    names = [optim.save_shards(tmp_path, o, stepped(o)) for o in optimizers]
    with pytest.raises(LowbitError, match=message):
        optim.commit_shards(tmp_path, names)


def test_one_shard_alone(tmp_path, halves, whole):
    path = tmp_path / "states"
    optim.save_state(path, halves[1], stepped(halves[1]))
    assert_same_states(optim.load_state(path, halves[1]), stepped(halves[1]))
    for other in (halves[0], whole):
        with pytest.raises(LowbitError, match=rf"{path}: no file holds 'w/m' \[0:1, 0:4096\]"):
            optim.load_state(path, other)


def test_replicas(tmp_path, halves, whole):
    """What several hold alike, as 'b' above, is there once; what they hold differently is nobody's."""
    saved(tmp_path, [*halves, halves[1]])
    assert len(list(tmp_path.iterdir())) == 3
    states = [stepped(o) for o in halves]
    states[1].tensors["b"]["m"]["values"][0, 0] += 1
    names = [optim.save_shards(tmp_path, o, s) for o, s in zip(halves, states)]
    with pytest.raises(LowbitError, match=r"'b/m' \[0:1, 0:3\] is another one than in step-1"):
        optim.commit_shards(tmp_path, names)


def test_files_of_different_steps_and_rules(tmp_path, halves):
    one, other = optim.split(SHAPES["w"], 2)
    first = optim.save_shards(tmp_path, halves[0], stepped(halves[0], 1))
    for optimizer, steps, message in [
        (halves[1], 2, "step 1 of rule 'sgd', but .* is step 2|step 2 .* but .* is step 1"),
        (compiled({"w": other}, "lion"), 1, "of rule 'lion', but|of rule 'lion'"),
    ]:
        name = optim.save_shards(tmp_path, optimizer, stepped(optimizer, steps))
        with pytest.raises(LowbitError, match=message):
            optim.commit_shards(tmp_path, [first, name])


def test_what_does_not_fit_the_optimizer(tmp_path, halves):
    saved(tmp_path, halves)
    for other, message in [
        (compiled(rule="lion"), "states of rule 'sgd', not 'lion'"),
        (compiled(shapes={"v": (3,)}), "there is no 'v/m'"),
        (compiled(shapes={"w": (64, 129)}), r"'w/m' has shape \[1, 8192\], not \[1, 8256\]"),
    ]:
        with pytest.raises(LowbitError, match=message):
            optim.load_state(tmp_path, other)


def test_folders_that_cannot_be_written(tmp_path, whole):
    (tmp_path / "file").write_text("")
    with pytest.raises(LowbitError, match="file"):
        optim.save_shards(tmp_path / "file", whole, whole.init())
    with pytest.raises(LowbitError, match="is missing"):
        optim.commit_shards(tmp_path, [f"step-1.{'0' * 32}.safetensors"])
    assert os.listdir(tmp_path) == ["file"] and Path(tmp_path / "file").read_text() == ""
