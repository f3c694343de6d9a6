"""Fused attention against numpy in f64, over encoded keys and values, in tiles that do not divide anything."""

import numpy as np
import pytest
from lowbit import _lowbit

HEADS, SIZE, CAPACITY = 2, 16, 48


def softmax_program(encoding: str, rows: str, causal: bool, division: str) -> str:
    """q [HEADS, rows, SIZE] on the first `length` of the keys and values [HEADS, CAPACITY, SIZE]."""
    kv = f"tensor<{HEADS}x{CAPACITY}x{SIZE}xf32{', #kv' if encoding else ''}>"
    plain, cut = f"tensor<{HEADS}x{CAPACITY}x{SIZE}xf32>", f"tensor<{HEADS}x?x{SIZE}xf32>"
    scores, row, out = (
        f"tensor<{HEADS}x{rows}x?xf32>",
        f"tensor<{HEADS}x{rows}xf32>",
        f"tensor<{HEADS}x{rows}x{SIZE}xf32>",
    )
    dynamic = "%m, " if rows == "?" else ""
    kinds = 'iterator_types = ["parallel", "parallel", {}]'
    mask = f"""
      %last = arith.subi %length, %m : index
      %seen = linalg.generic {{indexing_maps = [#hmt, #hmt], {kinds.format('"parallel"')}}} ins(%s : {scores}) outs(%e : {scores}) {{
        ^bb0(%in: f32, %out: f32):
          %i = linalg.index 1 : index
          %t = linalg.index 2 : index
          %now = arith.addi %i, %last : index
          %visible = arith.cmpi sle, %t, %now : index
          %x = arith.select %visible, %in, %minus : f32
          linalg.yield %x : f32
      }} -> {scores}"""

    def divide(name: str, above: str, type: str, maps: str) -> str:
        return f"""
      {name}.empty = tensor.empty({'%m' if rows == '?' else ''}{', ' if rows == '?' and type == scores else ''}{'%length' if type == scores else ''}) : {type}
      {name} = linalg.generic {{indexing_maps = [#hmt, #hm, #hmt], {kinds.format('"parallel"')}}} ins({above}, %total : {type}, {row}) outs({name}.empty : {type}) {{
        ^bb0(%in: f32, %under: f32, %out: f32):
          %x = arith.divf %in, %under : f32
          linalg.yield %x : f32
      }} -> {type}"""

    early = division == "early"
    return f"""
    {f'#kv = #lowbit.quantized<{encoding}>' if encoding else ''}
    #hmt = affine_map<(h, m, t) -> (h, m, t)>
    #hm = affine_map<(h, m, t) -> (h, m)>
    func.func @attention(%q: {out}, %keys: {kv}, %values: {kv}, %length: index, %dest: {out}) -> {out}
        attributes {{lowbit.entry, lowbit.updates = array<i64: 4>}} {{
      %zero = arith.constant 0.0 : f32
      %minus = arith.constant 0xFF800000 : f32
      %c1 = arith.constant 1 : index
      %m = tensor.dim %q, %c1 : {out}
      %allk = {'lowbit.decode %keys : ' + kv if encoding else f'tensor.cast %keys : {kv} to {plain}'}
      %allv = {'lowbit.decode %values : ' + kv if encoding else f'tensor.cast %values : {kv} to {plain}'}
      %k = tensor.extract_slice %allk[0, 0, 0] [{HEADS}, %length, {SIZE}] [1, 1, 1] : {plain} to {cut}
      %v = tensor.extract_slice %allv[0, 0, 0] [{HEADS}, %length, {SIZE}] [1, 1, 1] : {plain} to {cut}
      %e = tensor.empty({dynamic}%length) : {scores}
      %s0 = linalg.fill ins(%zero : f32) outs(%e : {scores}) -> {scores}
      %s = linalg.batch_matmul indexing_maps = [affine_map<(h, m, t, d) -> (h, m, d)>, affine_map<(h, m, t, d) -> (h, t, d)>, affine_map<(h, m, t, d) -> (h, m, t)>]
        ins(%q, %k : {out}, {cut}) outs(%s0 : {scores}) -> {scores}
      {mask if causal else ''}
      %er = tensor.empty({'%m' if rows == '?' else ''}) : {row}
      %h0 = linalg.fill ins(%minus : f32) outs(%er : {row}) -> {row}
      %highest = linalg.generic {{indexing_maps = [#hmt, #hm], {kinds.format('"reduction"')}}} ins({'%seen' if causal else '%s'} : {scores}) outs(%h0 : {row}) {{
        ^bb0(%in: f32, %out: f32):
          %x = arith.maximumf %in, %out : f32
          linalg.yield %x : f32
      }} -> {row}
      %mass = linalg.generic {{indexing_maps = [#hmt, #hm, #hmt], {kinds.format('"parallel"')}}} ins({'%seen' if causal else '%s'}, %highest : {scores}, {row}) outs(%e : {scores}) {{
        ^bb0(%in: f32, %high: f32, %out: f32):
          %d = arith.subf %in, %high : f32
          %x = math.exp %d : f32
          linalg.yield %x : f32
      }} -> {scores}
      %t0 = linalg.fill ins(%zero : f32) outs(%er : {row}) -> {row}
      %total = linalg.generic {{indexing_maps = [#hmt, #hm], {kinds.format('"reduction"')}}} ins(%mass : {scores}) outs(%t0 : {row}) {{
        ^bb0(%in: f32, %out: f32):
          %x = arith.addf %in, %out : f32
          linalg.yield %x : f32
      }} -> {row}
      {divide('%p', '%mass', scores, '') if early else ''}
      %eo = tensor.empty({'%m' if rows == '?' else ''}) : {out}
      %o0 = linalg.fill ins(%zero : f32) outs(%eo : {out}) -> {out}
      %mixed = linalg.batch_matmul ins({'%p' if early else '%mass'}, %v : {scores}, {cut}) outs(%o0 : {out}) -> {out}
      {divide('%y', '%mixed', out, '') if not early else ''}
      return {'%mixed' if early else '%y'} : {out}
    }}"""


def reference(q, keys, values, length, causal):
    scores = np.einsum("hmd,htd->hmt", q.astype(float), keys[:, :length].astype(float))
    if causal:
        rows = q.shape[1]
        hidden = np.arange(length)[None, :] > np.arange(rows)[:, None] + length - rows
        scores[:, hidden] = -np.inf
    mass = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.einsum("hmt,htd->hmd", mass / mass.sum(axis=-1, keepdims=True), values[:, :length])


@pytest.mark.parametrize("division", ["early", "late"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rows", ["1", "7", "?"])
@pytest.mark.parametrize(
    "encoding", ["", "f16", "int<8>, scale = f16 per [1, 1, 16]", "int<4>, scale = f16 per [1, 1, 8]"]
)
def test_attention(encoding, rows, causal, division):
    text = softmax_program(encoding, rows, causal, division)
    program = _lowbit.Program(text, pipeline="cpu{attention-rows=3 attention-columns=8}")
    term = f"#lowbit.quantized<{encoding}>"
    generator = np.random.default_rng(1)
    shape = (HEADS, CAPACITY, SIZE)
    for length in (7, 8, 33, CAPACITY):
        count = 7 if rows == "?" else int(rows)
        # Scores far apart: later blocks have higher ones, and sums are scaled.
        q = generator.normal(size=(HEADS, count, SIZE)).astype(np.float32) * 4
        keys, values = generator.normal(size=(2, *shape)).astype(np.float32)
        inputs = [[keys], [values]]
        if encoding:
            inputs = [list(_lowbit.encode(x, term).values()) for x in (keys, values)]
            names = list(_lowbit.encode(keys, term))
            keys, values = (_lowbit.decode(term, shape, dict(zip(names, x))) for x in inputs)
        (found,) = program.run("attention", [q, *inputs[0], *inputs[1], np.int64(length), q])
        np.testing.assert_allclose(
            found, reference(q, keys, values, length, causal), rtol=2e-5, atol=2e-5
        )


def test_a_row_that_sees_nothing_so_far():
    """Scores of minus infinity in whole blocks, before the first that is not."""
    text = softmax_program("", "7", False, "late")
    program = _lowbit.Program(text, pipeline="cpu{attention-columns=8}")
    generator = np.random.default_rng(2)
    q = np.abs(generator.normal(size=(HEADS, 7, SIZE))).astype(np.float32)
    keys, values = np.abs(generator.normal(size=(2, HEADS, CAPACITY, SIZE))).astype(np.float32)
    keys[:, :17] = -np.inf
    (found,) = program.run("attention", [q, keys, values, np.int64(CAPACITY), q])
    np.testing.assert_allclose(
        found, reference(q, keys, values, CAPACITY, False), rtol=2e-5, atol=2e-5
    )


@pytest.mark.parametrize("parts", [1, 4])
def test_what_else_computes_scores(parts):
    """A scalar operand, and a mask of bits that is spread over the rows: neither is an f32 tensor to be cut."""
    text = softmax_program("", "7", False, "late")
    text = text.replace("%dest: tensor", "%limit: index, %keep: tensor<48xi1>, %dest: tensor")
    text = text.replace("array<i64: 4>", "array<i64: 6>")
    scores = f"tensor<{HEADS}x7x?xf32>"
    masks = f"""
      %eb = tensor.empty(%length) : tensor<{HEADS}x7x?xi1>
      %cut = tensor.extract_slice %keep[0] [%length] [1] : tensor<48xi1> to tensor<?xi1>
      %spread = linalg.broadcast ins(%cut : tensor<?xi1>) outs(%eb : tensor<{HEADS}x7x?xi1>) dimensions = [0, 1]
      %seen = linalg.generic {{indexing_maps = [#hmt, #hmt, affine_map<(h, m, t) -> ()>, #hmt], iterator_types = ["parallel", "parallel", "parallel"]}}
          ins(%s, %spread, %limit : {scores}, tensor<{HEADS}x7x?xi1>, index) outs(%e : {scores}) {{
        ^bb0(%in: f32, %keeps: i1, %end: index, %out: f32):
          %t = linalg.index 2 : index
          %early = arith.cmpi slt, %t, %end : index
          %x = arith.select %keeps, %in, %minus : f32
          %z = arith.select %early, %x, %minus : f32
          linalg.yield %z : f32
      }} -> {scores}
      %er ="""
    text = text.replace("%er =", masks, 1).replace("ins(%s : ", "ins(%seen : ").replace("ins(%s, %highest", "ins(%seen, %highest")
    program = _lowbit.Program(text, pipeline=f"cpu{{attention-columns=8 attention-parts={parts}}}")
    generator = np.random.default_rng(3)
    q = generator.normal(size=(HEADS, 7, SIZE)).astype(np.float32)
    keys, values = generator.normal(size=(2, HEADS, CAPACITY, SIZE)).astype(np.float32)
    keep, limit = generator.integers(0, 2, CAPACITY).astype(bool), 41
    inputs = [q, keys, values, np.int64(CAPACITY), np.int64(limit), keep, q]
    (found,) = program.run("attention", inputs)
    kept = np.flatnonzero(keep[:limit])
    expected = reference(q, keys[:, kept], values[:, kept], len(kept), False)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
