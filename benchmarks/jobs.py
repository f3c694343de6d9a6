"""The table of what is measured: an encoding, how it is compiled, and the types of ggml that are compared with it.

A new encoding, layout or option of the pipeline is a line here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Activations:
    """How a program computes on x, which comes as f32."""

    options: str  # of lowbit-cpu-pipeline
    arithmetic: str  # of its inner products, for the bound: f32 or int8
    tolerance: float  # of the relative error of y


ACTIVATIONS = {
    "f32": Activations(options="", arithmetic="f32", tolerance=1e-5),
    "int8": Activations(
        options="activations='int<8>, scale = f32 per [1, 32]'", arithmetic="int8", tolerance=2e-2
    ),
}


@dataclass(frozen=True)
class Job:
    name: str
    encoding: str  # of w [n, k]
    peers: tuple[str, ...] = ()  # types of ggml of about this width, or of this very format
    activations: str = "int8"
    options: str = ""  # further ones of lowbit-cpu-pipeline

    @property
    def pipeline(self) -> str:
        options = " ".join(filter(None, (ACTIVATIONS[self.activations].options, self.options)))
        return f"cpu{{{options}}}"


def quantized(text: str) -> str:
    return f"#lowbit.quantized<{text}, layout = tiled>"


# A K-quant's scales: f16 per superblock times integers of so many bits per block.
K4 = "f16 per [1, 256] * uint<6> per [1, 32]"
K6 = "f16 per [1, 256] * int<8> per [1, 16]"

JOBS = [
    Job("int2", quantized("int<2>, scale = f16 per [1, 64]"), ("q2_0", "tq2_0", "q2_K")),
    Job("int3", quantized("int<3>, scale = f16 per [1, 32]"), ("q3_K",)),
    Job("int4", quantized("int<4>, scale = f16 per [1, 32]"), ("q4_0", "q4_K")),
    Job(
        "uint4-min",
        quantized("uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]"),
        ("q4_1",),
    ),
    Job("int8", quantized("int<8>, scale = f16 per [1, 32]"), ("q8_0",)),
    Job("mxfp4", quantized("e2m1, scale = e8m0 per [1, 32]"), ("mxfp4",)),
    Job("nvfp4", quantized("e2m1, scale = f32 per tensor * e4m3 per [1, 16]"), ("nvfp4",)),
    Job("nf4", quantized("codebook<nf4>, scale = f32 per [1, 64]"), ("iq4_nl",), activations="f32"),
    Job(
        "q4_K",
        quantized(f"uint<4>, scale = {K4}, min = {K4}"),
        ("q4_K",),
    ),
    Job("q6_K", quantized(f"int<6>, scale = {K6}"), ("q6_K",)),
    Job("q8_0", quantized("int<8>, scale = f16 per [1, 32]"), ("q8_0",)),
]


def select(
    names: str | None, encoding: str | None, peers: tuple[str, ...] | None, options: str
) -> list[Job]:
    """The jobs of a comma-separated list of names, in the table's order (None: all), or one of an encoding of its own,
    with other peers where they are given, and with further options."""
    if encoding and names:
        raise ValueError("--encoding takes the place of the table's jobs: leave --jobs out")
    if encoding:
        chosen = [Job("encoding", encoding)]
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
