"""The reference itself: the published figure, and one way of computing against another."""

import numpy as np
from numpy_formats import NF4, nearest_level, planes
from reference import perplexity


def test_perplexity_is_the_one_measured_with_torch(reference, artistic_tokens):
    reference.reset()
    measured = perplexity(reference.forward(artistic_tokens), artistic_tokens)
    assert abs(measured - 16.73) < 0.02


def test_token_by_token_equals_all_at_once(reference, artistic_tokens):
    tokens = artistic_tokens[:8]
    reference.reset()
    whole = reference.forward(tokens)
    reference.reset()
    pieces = [reference.forward(tokens[:5])] + [reference.forward([token]) for token in tokens[5:]]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=2e-4)


def test_a_tie_between_levels_goes_to_the_even_index():
    levels = np.array([-1.0, 0.0, 0.5, 1.0], np.float32)
    x = np.array([-0.5, 0.25, 0.75, 0.7500001, -9, 9], np.float32)
    assert nearest_level(levels, x).tolist() == [0, 2, 2, 3, 0, 3]
    assert nearest_level(NF4, NF4).tolist() == list(range(16))


def test_planes_pack_low_bits_first():
    packed = planes(np.array([[5, -1, 2, -4, 3]]), 3, "codes")  # 101 111 010 100 011
    assert packed["codes.0"].tolist() == [[0b00_10_11_01, 0b11]]
    assert packed["codes.1"].tolist() == [[0b0_1_0_1_1]]
