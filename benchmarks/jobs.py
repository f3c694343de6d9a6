"""The table of what is measured: an encoding, how it is compiled, and the types of ggml that are compared with it.

A new encoding, layout or option of the pipeline is a line here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Activations:
    """How a program computes on x, which comes as f32."""

    options: str  # of the pipeline
    arithmetic: str  # of its inner products, for the bound: f32 or int8
    errors: tuple[float, float]  # of y, from least to most: less would be another way to compute


ACTIVATIONS = {
    "f32": Activations("", "f32", (0, 1e-5)),
    "int15": Activations(
        "activations='int<15>, scale = f32 per [1, 32], layout = planes<7, 8>'", "int8", (1e-6, 2e-4)
    ),
    "int8": Activations("activations='int<8>, scale = f32 per [1, 32]'", "int8", (1e-3, 2e-2)),
    "int8-rows": Activations("activations='int<8>, scale = f32 per axis 0'", "int8", (1e-3, 3e-2)),
}


@dataclass(frozen=True)
class Job:
    name: str
    encoding: str  # of w [n, k]
    peers: tuple[str, ...] = ()  # types of ggml of about this width, or of this very format
    activations: str = "f32"
    options: str = ""  # further ones of lowbit-cpu-pipeline

    @property
    def pipeline(self) -> str:
        """This machine's, with options."""
        options = " ".join(filter(None, (ACTIVATIONS[self.activations].options, self.options)))
        return f"cpu{{{options}}}"


def tiled(term: str) -> str:
    """In the layout for kernels."""
    return f"#lowbit.quantized<{term}, layout = tiled>"


def stored(term: str, layout: str) -> str:
    """In the layout of a file of ggml's."""
    return f"#lowbit.quantized<{term}, layout = ggml<{layout}>>"


INT4 = "int<4>, scale = f16 per [1, 32]"
UINT4 = "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]"
INT8 = "int<8>, scale = f16 per [1, 32]"
# A K-quant's scales: f16 per superblock times integers of so many bits per block.
K4 = "f16 per [1, 256] * uint<6> per [1, 32]"
K6 = "f16 per [1, 256] * int<8> per [1, 16]"
Q4_K = f"uint<4>, scale = {K4}, min = {K4}"
Q6_K = f"int<6>, scale = {K6}"
NVFP4 = "e2m1, scale = f32 per tensor * e4m3 per [1, 16]"

JOBS = [
    # Activations of 8 bits, as ggml has them.
    Job("int2", tiled("int<2>, scale = f16 per [1, 64]"), ("q2_0", "tq2_0", "q2_K"), "int8"),
    Job("int3", tiled("int<3>, scale = f16 per [1, 32]"), ("q3_K",), "int8"),
    Job("int4", tiled(INT4), ("q4_0", "q4_K"), "int8"),
    Job("int4-rows", tiled(INT4), ("q4_0", "q4_K"), "int8-rows"),
    Job("uint4-min", tiled(UINT4), ("q4_1",), "int8"),
    Job("int8", tiled(INT8), ("q8_0",), "int8"),
    Job("mxfp4", tiled("e2m1, scale = e8m0 per [1, 32]"), ("mxfp4",), "int8"),
    Job("nvfp4", tiled(NVFP4), ("nvfp4",), "int8"),
    Job("q4_K", tiled(Q4_K), ("q4_K",), "int8"),
    Job("q6_K", tiled(Q6_K), ("q6_K",), "int8"),
    # Activations of 15 bits, in two planes: twice the products.
    Job("int4-int15", tiled(INT4), ("q4_0", "q4_K"), "int15"),
    Job("uint4-min-int15", tiled(UINT4), ("q4_1",), "int15"),
    # Activations of full precision.
    Job("nf4-f32", tiled("codebook<nf4>, scale = f32 per [1, 64]"), ("iq4_nl",)),
    Job("int4-f32", tiled(INT4), ("q4_0", "q4_K")),
    Job("int8-f32", tiled(INT8), ("q8_0",)),
    # Weights as they lie in a file.
    Job("int4-planes", f"#lowbit.quantized<{INT4}>", ("q4_0",)),
    Job("q4_K-file", stored(Q4_K, "q4_k"), ("q4_K",)),
    Job("q6_K-file", stored(Q6_K, "q6_k"), ("q6_K",)),
    Job("q8_0-file", stored(INT8, "q8_0"), ("q8_0",)),
]


def select(
    names: str | None,
    encoding: str | None,
    activations: str,
    peers: tuple[str, ...] | None,
    options: str,
) -> list[Job]:
    """The jobs of a comma-separated list of names, in the table's order (None: all), or one of an encoding of its own,
    with other peers where they are given, and with further options."""
    if encoding and names:
        raise ValueError("--encoding takes the place of the table's jobs: leave --jobs out")
    if encoding:
        chosen = [Job("encoding", encoding, activations=activations)]
    else:
        known = {job.name: job for job in JOBS}
        wanted = set(names.split(",")) if names else set(known)
        if unknown := wanted - set(known):
            raise ValueError(f"no job {', '.join(sorted(unknown))}: known are {', '.join(known)}")
        chosen = [job for name, job in known.items() if name in wanted]
    return [
        replace(
            job,
            peers=job.peers if peers is None else peers,
            options=" ".join(filter(None, (job.options, options))),
        )
        for job in chosen
    ]
