"""The native module: archives, encoding and compiled models.

Every failure (a missing or malformed file, an encoding that does not parse or does not fit a tensor,
a model that cannot be compiled) raises RuntimeError with a located message.
"""

from typing import Any, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

class TensorInfo:
    """One tensor of an archive."""

    name: str
    shape: list[int]
    """Row-major: a weight that maps 576 inputs to 1536 outputs is [1536, 576]."""
    encoding: str
    """The attribute's text, as '#lowbit.quantized<f16>'."""
    bits_per_weight: float
    bytes: int

class Archive:
    """A memory-mapped GGUF or safetensors file."""

    def __init__(self, path: str) -> None: ...
    @property
    def tensors(self) -> list[TensorInfo]: ...
    def metadata(self, key: str) -> str | int | float | bool | list[Any] | None:
        """The value of a key, as 'tokenizer.ggml.tokens'; None where the file has no such key."""

    def tensor_f32(self, name: str) -> NDArray[np.float32]:
        """The decoded tensor, in its shape."""

    def components(self, name: str) -> dict[str, NDArray[Any]]:
        """The stored components by name ('codes', 'scale', …): read-only views of the file.

        The rows of a GPTQ tensor in act-order come in the order of their groups, as `permuted` has them: a copy.
        """

def write_archive(
    path: str,
    metadata: dict[str, str],
    tensors: Sequence[tuple[str, Sequence[int], str, dict[str, NDArray[Any]]]],
) -> None:
    """Write an archive under a temporary name, then rename it. metadata: texts by key; tensors: (name, shape, encoding or '', arrays by
    component)."""

def merge_archives(
    base: Archive, replacements: Sequence[str], metadata: dict[str, str], output: str
) -> None:
    """Write an archive again with tensors and texts of others in the place of its own; tensors that it does not have come last."""

def encode_archive(
    path: str,
    out: str,
    weights: str,
    keep: Sequence[tuple[str, str]],
    progress: Callable[[int, int, str], None],
) -> None:
    """Write `path` again as `out` with its weights in another encoding, rounded to nearest.

    weights: the encoding for each 2-D tensor that no pattern of `keep` matches and whose shape
        admits it; 1-D tensors stay as they are.
    keep: (pattern, encoding) pairs, the first match decides; patterns as in fnmatch, the encoding
        'same' leaves a tensor as it is stored.
    progress: called with (tensors done, tensors in all, name of the next one).

    Writes under a temporary name in the folder of `out`, then renames.
    """

class Program:
    """A compiled MLIR module with its parameters, which come from archives.

    A parameter that the module declares as plain f32 is read in the encoding its archive has.
    parameters: paths of archives; the first that has a tensor counts.
    pipeline: 'cpu', with options of lowbit-cpu-pipeline as 'cpu{rows=32}', 'reference', 'none' or passes as 'builtin.module(...)'.
    name: of the text, in errors.
    optimization_level: of LLVM, 0 to 3.
    """

    def __init__(
        self,
        text: str,
        parameters: Sequence[str] = (),
        pipeline: str = "cpu",
        threads: int = 0,
        target_cpu: str = "",
        name: str = "module",
        optimization_level: int = 2,
    ) -> None: ...
    def run(self, entry: str, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Call an entry: an input for each argument (encoded ones: for each component).

        Results come in the function's order; inputs are not written to.
        """

    def lookup(self, entry: str) -> int:
        """The address of an entry as `void (void **arguments)`, valid as long as the program is.

        Each argument points to a scalar or to a memref descriptor (base, aligned, offset, sizes and strides as
        int64), results last. Nothing is checked, and OpenMP's number of threads is the caller's.
        """

    def update(
        self,
        entry: str,
        columns: Sequence[int],
        tensors: Sequence[Sequence[NDArray[Any]]],
        shared: Sequence[NDArray[Any]],
        threads: int = 0,
    ) -> None:
        """Call an entry that updates its arguments for each of many tensors, where their arrays lie, in pieces that threads share.

        columns: for each argument 0 (a number for all), the columns of a piece, or -1 (taken whole).
        tensors: for each its arrays and, as int64 of rank 0, extents; shared: the numbers, arrays of rank 0.
        """

    @property
    def compile_seconds(self) -> float: ...

def rule(text: str, name: str) -> dict[str, Any]:
    """Of an optimizer's rule the 'arguments' (each a dict: 'name', 'tensor', 'updated', 'nonnegative', 'shape', 'dtype', 'default') and whether it
    is 'elementwise'."""

def assign_states(
    text: str, name: str, assignments: str, tensors: Sequence[tuple[str, Sequence[int]]]
) -> list[list[str]]:
    """For each (name, shape) the encoding of each argument of the rule, '' where there is none, as lowbit-assign-states gives them."""

def component_types(encoding: str, shape: Sequence[int]) -> list[tuple[str, str, list[int]]]:
    """Name, element type and shape of each component; -1 for an extent of the shape, or of a component, that is open."""

def encode_multiples(encoding: str, shape: Sequence[int]) -> list[int]:
    """Per axis: at multiples of this a tensor can be cut into parts that are encoded by themselves; -1: nowhere."""

def encode(
    values: NDArray[np.float32], encoding: str, given: dict[str, NDArray[Any]] = {}
) -> dict[str, NDArray[Any]]:
    """The components of `values`, rounded by the scalar reference: lowbit.encode."""

def encode_weighted(
    values: NDArray[np.float32], encoding: str, weights: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """The same with learned levels of least weighted squared error. weights: of the elements' errors, none below 0; what has 0 has no say."""

def encode_with_feedback(
    values: NDArray[np.float32],
    encoding: str,
    moments: NDArray[np.float64],
    damping: float,
    falling_order: bool,
    sweeps: int = 0,
) -> tuple[dict[str, NDArray[Any]], float]:
    """Components for inputs of these second moments, and the error that is left."""

def decode(
    encoding: str, shape: Sequence[int], components: dict[str, NDArray[Any]]
) -> NDArray[np.float32]:
    """The values of components, by the scalar reference: lowbit.decode."""

def ggml_type(name: str, rank: int) -> tuple[str, int, int]:
    """Of a tensor type of ggml: its encoding ('' for F32) on tensors of this rank, elements and bytes of a block."""

def target(name: str) -> dict[str, Any]:
    """What code for a processor (as LLVM names it, or 'native') is compiled with, before anything was measured: its 'features', whether it 'runs-here',
    and options of lowbit-cpu-pipeline by their names."""

def compile_model(path: str, output: str, origin: str, options: dict[str, Any]) -> dict[str, float]:
    """Compile the model of an archive into an artifact (.lbm); seconds of each step. options: as for Session."""

def emit_model(
    path: str, stem: str, object: bool, header: bool, options: dict[str, Any]
) -> dict[str, float]:
    """Compile the model of an archive for programs in C: stem.o, stem.h, stem.weights; seconds of each step. options: as for Session."""

def emit_program(
    text: str,
    name: str,
    parameters: Sequence[str],
    stem: str,
    object: bool,
    header: bool,
    options: dict[str, Any],
) -> dict[str, float]:
    """The same of an MLIR module; name and parameters as for Program. options: 'activations', 'prefix_bits', 'pipeline', 'target_cpu', 'parallel'."""

class Session:
    """A compiled model with its key-value cache, which starts empty.

    options: 'activations' (str): 'f32' (default), 'int15', 'int8', or what activations are rounded to, as within #lowbit.quantized<...>;
        'kv_cache' (str): 'f32', 'f16', 'int8', 'int4', or an encoding of keys and values, likewise, or one of these for each as JSON (by default what the archive says, or f32);
        'context_length' (int, optional): positions to hold in the cache, the model's own if absent;
        'prefix_bits' (int, optional): of codes whose planes end so far below their top, read these bits alone;
        'target_cpu' (str): the processor to compile for, as LLVM names it, 'native' by default;
        'parallel' (bool): False for code without threads, which needs no OpenMP.
    """

    def __init__(self, archive_path: str, options: dict[str, Any]) -> None: ...
    @property
    def compile_seconds(self) -> float: ...
    @property
    def context_length(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def position(self) -> int:
        """How many positions the cache holds."""

    def prefill(self, tokens: NDArray[np.int64], rows: int) -> NDArray[np.float32]:
        """Append `tokens` [n] to the cache; the logits [rows, vocabulary] after the last `rows`."""

    def decode(self, token: int) -> NDArray[np.float32]:
        """Append one token; the logits [vocabulary] after it."""

    def reset(self) -> None:
        """Forget all positions."""

_Basis = tuple[list[int], int, bool, list[tuple[str, int, int, str, bool]], list[str], str]

def split_stages(
    text: str,
    statistics: Sequence[str],
    entry: str = "",
    output: bool = False,
    only_parameters: bool = False,
    gradients: bool = False,
    name: str = "module",
) -> tuple[
    str,
    list[
        tuple[
            str,
            list[str],
            list[str],
            list[list[str]],
            list[list[tuple[int, int, list[int], list[int]]]],
            list[str],
            list[_Basis],
            str,
            list[int],
        ]
    ],
]:
    """A program as a chain of functions that keep statistics (lowbit-calibration-pipeline): the module's text, and of each stage its function, what its
    arguments are, the types of all (statistics come last), what each of its taps feeds, and of each tap the parameters that take factors of its
    channels (argument, axis, digits, strides), or the reason why none do; what can be permuted with its taps, as describe_entries has it; and, with
    gradients, its vector-Jacobian product (lowbit-differentiate), or '', and the numbers of the arguments that it is for. With only_parameters values
    that are no parameters stay encoded.
    """

def describe_entries(text: str, name: str = "module") -> list[
    tuple[
        list[str],
        list[list[str]],
        list[_Basis],
        list[list[tuple[str, int, list[int], list[int], int, str]]],
        list[str],
    ]
]:
    """For each entry of a program (lowbit-conditioning-pipeline): its parameters; what each of its taps feeds; bases: their taps, extent, whether
    only a rotation that leaves ones where they are is one, members (parameter, axis, stride, gain or "", whether divided by it), gains that
    become ones, or the reason why there is none; and for each tap what takes a shift of its channels (parameter, axis, digits, strides, sign, weight or ""),
    or the reason why nothing does."""

def import_model(archive: Archive, context_length: int, kv_cache: str = "f32") -> str:
    """The program of a language model, with keys and values as `kv_cache` says."""

def list_caches(
    archive: Archive, context_length: int, kv_cache: str = "f32"
) -> list[tuple[str, list[int], str]]:
    """Name, shape and encoding ('' is f32) of each key-value cache of a language model, in the order of its entries' arguments."""
