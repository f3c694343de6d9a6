"""The jobs of benchmarks/jobs.py, as they are compiled and called there, on small matrices."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from lowbit import _lowbit

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from jobs import JOBS, select  # noqa: E402
from programs import LowbitMatmul  # noqa: E402
from rounds import check  # noqa: E402
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
