"""lowbit.precision.gradients: Fisher information and curvature of a tiny llama, against finite differences of numpy's model in f64."""

from __future__ import annotations

import numpy as np
import pytest
from lowbit.errors import LowbitError
from lowbit.precision.gradients import CrossEntropy, Gradients, OutputChange, _Direction
from lowbit.precision.sources import open_source
from reference import GgufFile, Llama, log_softmax
from test_quantize_programs import PROGRAM, TEXT as WORDS_TEXT, files  # noqa: F401
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

LENGTH = 12


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    return write_tiny_llama(path, head=True, biases=True)


@pytest.fixture(scope="module")
def reference(tiny) -> Llama:
    """In double precision."""
    llama = Llama(GgufFile(tiny))
    llama.weights = {key: value.astype(np.float64) for key, value in llama.weights.items()}
    return llama


def predictions(llama: Llama, tokens: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, of all tokens but the first: [tokens - 1, vocabulary]."""
    llama.reset()
    return log_softmax(llama.forward(tokens))[:-1]


def derivative(llama: Llama, key: str, place: tuple[int, int], compute):
    """Of what `compute` gives, with respect to one weight."""
    weight, h = llama.weights[key], 1e-5
    before, found = weight[place], []
    for side in (h, -h):
        weight[place] = before + side
        found.append(compute())
    weight[place] = before
    return (found[0] - found[1]) / (2 * h)


def some_places(shape: tuple[int, ...], count: int = 3) -> list[tuple[int, int]]:
    generator = np.random.default_rng(shape)
    return [tuple(generator.integers(0, shape)) for _ in range(count)]


def make_gradients(path, loss=None, tokens: int = 2 * LENGTH) -> Gradients:
    source = open_source(str(path))
    return Gradients(source, LENGTH, source.sequences(TEXT, tokens, LENGTH), loss)


def test_squares_of_the_texts_gradients(tiny, reference):
    gradients = make_gradients(tiny, CrossEntropy("text"))
    found = dict(gradients.fisher())
    assert list(found)[0] == "output.weight" and set(found) == set(gradients.weights)
    assert len(found) == 15
    for key, fisher in found.items():
        assert fisher.shape == reference.weights[key].shape and fisher.dtype == np.float32
        for place in some_places(fisher.shape):
            slopes = [
                derivative(
                    reference,
                    key,
                    place,
                    lambda: predictions(reference, t)[np.arange(len(t) - 1), t[1:]].sum(),
                )
                for t in gradients.sequences
            ]
            expected = np.square(slopes).sum() / sum(len(t) - 1 for t in gradients.sequences)
            assert fisher[place] == pytest.approx(
                expected, rel=1e-3, abs=1e-5 * float(fisher.max())
            )


def test_labels_of_the_model_give_the_fisher_information(tiny, reference):
    """The mean over all labels, each token for itself, though only whole sequences are gone back over."""
    gradients = make_gradients(tiny, tokens=LENGTH)
    (tokens,) = gradients.sequences
    ratios = []
    probabilities = np.exp(predictions(reference, tokens))
    for key, fisher in gradients.fisher(draws=300, seed=3):
        for place in some_places(fisher.shape):
            slopes = derivative(reference, key, place, lambda: predictions(reference, tokens))
            ratios.append(fisher[place] * (len(tokens) - 1) / (probabilities * slopes**2).sum())
    assert len(ratios) == 45
    # A square of a normal variable has twice its squared mean as variance: each ratio's error is sqrt(2 / 300), 8 %.
    assert np.abs(np.asarray(ratios) - 1).max() < 0.35 and abs(np.mean(ratios) - 1) < 0.04


def test_seeds_and_progress(tiny):
    calls = []
    source = open_source(str(tiny))
    sequences = source.sequences(TEXT, LENGTH, LENGTH)
    gradients = Gradients(source, LENGTH, sequences, None, lambda *call: calls.append(call))
    once, again, other = (dict(gradients.fisher(seed=s)) for s in (0, 0, 1))
    for key in once:
        np.testing.assert_array_equal(once[key], again[key])
        assert (once[key] != other[key]).any()
    stages = len(gradients.program.stages)
    assert [done for done, _, _ in calls] == 3 * list(range(2 * stages))
    assert {total for _, total, _ in calls} == {2 * stages}


def test_traces_add_up_to_the_curvature(tiny, reference):
    """Along the same random signs: the second difference of the loss itself."""
    gradients = make_gradients(tiny)
    step, seed = 0.01, 5
    traces = gradients.traces(samples=1, step=step, seed=seed)
    direction = _Direction(step, (seed, 0))
    original = dict(reference.weights)

    def loss(side: int) -> float:
        for key in gradients.weights:
            reference.weights[key] = direction.move(key, original[key], side)
        total = 0.0
        for t in gradients.sequences:
            total -= predictions(reference, t)[np.arange(len(t) - 1), t[1:]].sum()
        reference.weights.update(original)
        return total / gradients.count

    sizes = {key: step**2 * np.square(original[key]).mean() for key in gradients.weights}
    found = sum(sizes[key] * trace.value for key, trace in traces.items())
    assert found == pytest.approx(loss(1) + loss(-1) - 2 * loss(0), rel=0.01)
    assert all(trace.weights == original[key].size for key, trace in traces.items())


def test_of_a_program_without_labels(files):  # noqa: F811
    """y = x W^T of a single token: the squares of x, whatever the signs are; and its Hessian repeats x x^T for each output."""
    path = str(files / "program.mlir")
    source = open_source(path, [str(files / "model.safetensors")], str(files / "tokenizer.json"))
    tokens = source.sequences(WORDS_TEXT, 64, 64)[1][:1]
    gradients = Gradients(source, 64, [tokens])
    assert isinstance(gradients.loss, OutputChange)
    x = source.archive.tensor_f32("table")[tokens[0]] * source.archive.tensor_f32("gain")
    ((key, fisher),) = gradients.fisher()
    assert key == "up"
    np.testing.assert_allclose(fisher, np.broadcast_to(x**2, (32, 64)), rtol=1e-5, atol=1e-12)
    trace = gradients.traces(samples=16, step=0.01)["up"]
    error = np.std(trace.estimates, ddof=1) / 4
    assert trace.value == pytest.approx(32 * (x**2).sum(), abs=4 * error)
    assert trace.mean == trace.value / (32 * 64)


def test_a_text_of_one_token(tiny):
    source = open_source(str(tiny))
    with pytest.raises(LowbitError, match="no sequence has a token that another one predicts"):
        Gradients(source, LENGTH, [np.asarray([5])])
