"""`lowbit tune`: what it chooses from which times, what it keeps, and who uses that."""

from __future__ import annotations

import json

import pytest
from lowbit import Model, cache, tuning
from lowbit._lowbit import target

RECORD = target("native")


class Machine:
    """Seconds of a product by its options; every third round another program takes the processor from the first variant."""

    def __init__(self, monkeypatch, seconds):
        self.seconds, self.samples = seconds, 0
        monkeypatch.setattr(tuning, "_Product", lambda chosen: chosen)
        monkeypatch.setattr(tuning, "_Weights", lambda: self)
        monkeypatch.setattr(tuning, "_sample", self.sample)
        self.bytes = 10**6

    def sample(self, chosen, weights):
        self.samples += 1
        disturbed = 5 if self.samples % 9 == 0 else 1
        return disturbed * self.seconds(RECORD | chosen)


def test_the_best_of_each_option_is_chosen(monkeypatch):
    def seconds(options):
        time = 1.0 if options["prefetch"] == 4096 else 1.2
        time *= 1.0 if options["prefetch-locality"] == 2 else 1.1
        return time * (1.0 if options["iteration-groups"] == 32 else 1.3)

    Machine(monkeypatch, seconds)
    tried = []
    best = tuning.measure(tried.append)
    assert best.options == {"prefetch": 4096, "prefetch-locality": 2, "iteration-groups": 32}
    assert tried[0].options == {} and best in tried
    assert best.gain == pytest.approx(1 - 1 / 1.3)


def test_noise_changes_nothing(monkeypatch):
    Machine(monkeypatch, lambda options: 0.99 if options["prefetch"] == 0 else 1.0)
    assert tuning.measure().options == {}


def test_no_prefetch_has_no_locality(monkeypatch):
    Machine(monkeypatch, lambda options: 0.5 if options["prefetch"] == 0 else 1.0)
    tried = []
    assert tuning.measure(tried.append).options == {"prefetch": 0}
    assert not any("prefetch-locality" in found.options for found in tried)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LOWBIT_COMPILE_CACHE", str(tmp_path / "compiled"))
    monkeypatch.delenv("LOWBIT_TUNING", raising=False)
    return tmp_path / "compiled"


def test_the_command(folder, monkeypatch, run_lowbit):
    monkeypatch.setenv(
        "OMP_NUM_THREADS", "1"
    )  # threads that wait for each other take long beside other tests
    found = json.loads(run_lowbit("tune", "--json").stdout)
    assert found["file"] == tuning.path() and found["gigabytes_per_second"] > 0
    kept = json.loads((folder / tuning.path()).read_text())
    assert kept["options"] == found["options"] == tuning.options()
    assert all(value != RECORD[name] for name, value in kept["options"].items())
    assert [path.name for path in folder.iterdir()] == [tuning.path().rpartition("/")[2]]
    assert "GB/s" in run_lowbit("tune").stdout


def test_models_use_what_was_chosen(folder, monkeypatch, byte_model_path):
    def pipeline(**options):
        return Model(byte_model_path, **options)._options.get("pipeline")

    assert pipeline() is None
    tuning.save(tuning.Measurement({"register-groups": 2, "prefetch": 512}, 10.0, 0.1))
    assert pipeline() == "cpu{prefetch=512 register-groups=2}"
    assert pipeline(target_cpu="x86-64-v3") is None  # that was not measured
    model = Model(byte_model_path)
    tuned, path = list(model.generate([70, 71, 72], 3).tokens), cache.path_of(
        model.path, model._options
    )
    monkeypatch.setenv("LOWBIT_TUNING", "off")
    assert pipeline() is None
    model = Model(byte_model_path)
    assert list(model.generate([70, 71, 72], 3).tokens) == tuned
    assert cache.path_of(model.path, model._options) != path
    assert len(cache.entries()) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"options": 3}',
        '{"options": {"rows": 1}}',
        '{"options": {"prefetch": -1}}',
        '{"options": {"prefetch": "0}"}}',
    ],
)
def test_a_damaged_file_is_not_used(folder, text):
    tuning.save(tuning.Measurement({"prefetch": 512}, 10.0, 0.1))
    assert tuning.options() == {"prefetch": 512}
    (folder / tuning.path()).write_text(text)
    with pytest.warns(RuntimeWarning, match="is damaged: run `lowbit tune` again"):
        assert tuning.options() == {}
