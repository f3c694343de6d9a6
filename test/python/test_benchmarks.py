"""The jobs of benchmarks/jobs.py, as they are compiled and called there, on small matrices; decode.py without llama.cpp."""

import argparse
import dataclasses
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive, Model, _lowbit

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import decode_report  # noqa: E402
import optimizers  # noqa: E402
from decode import DOUBT, Task, check_texts  # noqa: E402
from generators import Lowbit, Text, weight_bytes  # noqa: E402
from jobs import JOBS, select  # noqa: E402
from programs import LowbitMatmul  # noqa: E402
from rounds import check  # noqa: E402
from stage import Stage  # noqa: E402
from workload import Setting, gaussian  # noqa: E402

SETTING = Setting(n=64, k=512, batch=2, turn_bytes=100_000, resident=False, huge_pages=False)


def workload(job, setting):
    return LowbitMatmul(job, _lowbit.encode(gaussian(setting.n, setting.k), job.encoding), setting)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_job_is_right_in_all_its_memory(job):
    measured = workload(job, SETTING)
    assert measured.calls * measured.matrix_bytes * SETTING.batch >= SETTING.turn_bytes
    for output in measured.outputs:
        output[...] = np.nan
    check(measured)
    for output in measured.outputs:
        np.testing.assert_array_equal(output, measured.outputs[0])


def test_resident_job_has_one_matrix():
    measured = workload(JOBS[0], dataclasses.replace(SETTING, resident=True))
    assert measured.calls > 1
    assert len({arguments[1] for arguments in measured.arguments}) == 1
    check(measured)


def test_wrong_results_are_found():
    measured = workload(JOBS[0], SETTING)
    measured.run = lambda: None
    with pytest.raises(ArithmeticError, match="wrong y"):
        check(measured)
    measured.run = lambda: measured.outputs[-1].__setitem__((1, 3), np.nan)
    with pytest.raises(ArithmeticError, match="wrong y"):
        check(measured)


def test_activations_that_stay_exact_are_found():
    """A codebook's levels are no small integers: its program computes in f32, whatever it is asked."""
    (job,) = (job for job in JOBS if job.name == "nf4-f32")
    with pytest.raises(ArithmeticError, match="not what it is called"):
        check(workload(dataclasses.replace(job, activations="int8"), SETTING))


def test_select():
    assert select(None, None, "f32", None, "") == JOBS
    (job,) = select(None, "#lowbit.quantized<f16>", "f32", ("q8_0",), "rows=32")
    assert job.peers == ("q8_0",) and job.pipeline == "cpu{rows=32}"
    with pytest.raises(ValueError, match="int5.*known are int2"):
        select("int5", None, "f32", None, "")


def stage(make):
    return Stage("a model", os.sched_getaffinity(0), 1, make)


def test_stage_decodes_as_the_model_does(byte_model_path):
    prompt, count = list(b"In the beginning"), 12
    acting = stage(partial(Lowbit, byte_model_path, "f32", 1, 64))
    start = acting.start(prompt)
    assert 0 < start.compile_seconds < start.seconds and start.memory > 0
    text = acting.decode(prompt, count)
    assert text.tokens == Model(byte_model_path).generate(prompt, count).tokens
    assert text.seconds > 0 and min(text.margins) >= 0
    assert acting.decode(prompt, count).tokens == text.tokens  # the cache was emptied
    assert Task(len(prompt), 0).seconds(acting, prompt) > 0
    acting.close()
    assert acting.process.exitcode == 0


def test_errors_of_a_stage_are_ours(tmp_path):
    missing = tmp_path / "missing.gguf"
    acting = stage(partial(Lowbit, missing, "f32", 1, 64))
    with pytest.raises(RuntimeError, match="a model: .*missing.gguf"):
        acting.start([1])
    acting.close()
    acting = stage(partial(os._exit, 3))
    with pytest.raises(RuntimeError, match=r"ended by itself \(3\)"):
        acting.start([1])


def test_weights_of_a_token(make_gguf):
    """A matrix of its own for the output leaves one row of the embedding to read."""
    embedding, block = np.ones((8, 32), np.float32), np.ones((16, 32), np.float32)
    tied = {"token_embd.weight": embedding, "blk.0.ffn_up.weight": block}
    path = make_gguf("tied.gguf", tied)
    assert weight_bytes(Archive(str(path))) == embedding.nbytes + block.nbytes
    path = make_gguf("untied.gguf", tied | {"output.weight": embedding})
    assert weight_bytes(Archive(str(path))) == 32 * 4 + embedding.nbytes + block.nbytes


def test_texts_may_part_only_in_doubt():
    exact = Text([5, 6, 7], [1.0, DOUBT / 2, 1.0], 1.0)
    for tokens in ([5, 6, 7], [5, 9, 9]):
        check_texts({"lowbit f32": exact, "lowbit int15": Text(tokens, [1.0] * 3, 1.0)})
    with pytest.raises(ArithmeticError, match="token 9 where f32 decodes 5"):
        check_texts({"lowbit f32": exact, "lowbit int15": Text([9, 6, 7], [1.0] * 3, 1.0)})


def test_decode_report():
    def workload(peer, seconds, tokens):
        samples = [{"seconds": seconds * drift, "bandwidth": 4e6 / drift} for drift in (1, 2, 4)]
        return {
            "seconds": 3.0,
            "compile_seconds": 2.0,
            "memory": 10_000_000,
            "memory_used": 20_000_000,
            "peer": peer,
            "text": {"tokens": tokens},
            "tasks": {"decode after 4": samples},
        }

    run = {
        "model": "m.gguf",
        "threads": 2,
        "weight_bytes": 10_000,
        "tasks": {"decode after 4": {"prompt": 4, "decoded": 100}},
        "workloads": {
            "ours": workload(False, 0.5, [1, 2, 3, 4]),
            "slow": workload(True, 2.0, [1, 2, 9, 4]),
            "fast": workload(True, 1.0, [0, 0, 0, 0]),
        },
    }
    lines = [line.split() for line in decode_report.table(run).splitlines()]
    assert lines[0] == "m.gguf, 2 threads".split()
    assert lines[3] == "ours 3.00 2.00 10.0 20.0 2 of 4".split()
    # In each round a token reads its 10 kB in 1/400 s, drift aside, and takes 1/200 s.
    assert lines[-3] == "ours 100.0 [75.0, 150.0] 50 [50, 50] 2.00 [2.00, 2.00]".split()
    assert lines[-1] == "fast 50.0 [37.5, 75.0] 25 [25, 25]".split()


class Rate:
    """In the place of the probe."""

    def rate(self, threads):
        return 1e9


def test_optimizers_share_parameters_and_have_their_own_states():
    arrays = optimizers.make_arrays([5000, 7])
    before = arrays["params"]["0"].copy()
    workloads = [optimizers.Ours(states, arrays, 1) for states in ("f32", "int4-approximate")]
    for workload in workloads:
        workload.run()
        assert not np.array_equal(before, arrays["params"]["0"])
        before = arrays["params"]["0"].copy()
    assert [w.bytes for w in workloads] == [28 * 5007, 12 * 5007 + 2 * workloads[1].state.bytes]
    records = optimizers.measure(workloads, Rate(), threads=1, rounds=2)
    assert [workload.state.step for workload in workloads] == [4, 4]
    table = optimizers.table({"parameters": 5007, "tensors": 2, "threads": 1, "workloads": records})
    assert "lowbit int4-approximate" in table


def test_peers_of_optimizers(monkeypatch):
    assert optimizers.peers("none") == []
    assert optimizers.peers("torch,torchao4") == ["torch", "torchao4"]
    with pytest.raises(argparse.ArgumentTypeError, match="no nothing; known are torch, torchao8"):
        optimizers.peers("torch,nothing")
    here, nowhere = (optimizers.Peer(name, name, "", 0) for name in ("numpy", "no_such_module"))
    monkeypatch.setattr(optimizers, "PEERS", {"here": here, "nowhere": nowhere})
    assert optimizers.installed(["nowhere", "here"]) == [here]
