"""The command line: `lowbit COMMAND MODEL …`.

Results go to standard output, progress and errors to standard error. Exit status: 0 done, 1 failed,
2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import NoReturn, Sequence

from .errors import LowbitError
from .precision.command import add_parser as add_quantize

_EXAMPLES = """\
examples:
  lowbit generate model.gguf --prompt "Water boils at" --tokens 48
  lowbit compile model.gguf --output model.lbm
  lowbit compile model.gguf --emit object,header --output model
  lowbit inspect model.gguf
  lowbit encode model.gguf --output w4.safetensors \\
      --weights '#lowbit.quantized<int<4>, scale = f16 per [1, 32]>'
  lowbit quantize model.gguf --recipe gptq --calibration book.txt --output w4.safetensors
  lowbit perplexity w4.safetensors --text book.txt --max-tokens 1024
"""


def report(message: str, hint: str | None = None) -> None:
    print(f"lowbit: error: {message}", file=sys.stderr)
    if hint:
        print(f"lowbit: hint: {hint}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        report(message, hint=f"`{self.prog} --help` shows the options and examples")
        raise SystemExit(2)


def _unicode(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # bytes of another character set
        raise argparse.ArgumentTypeError(f"'{text}' is not UTF-8") from None
    return text


def _processor(text: str) -> str:
    if not _unicode(text):
        raise argparse.ArgumentTypeError(
            "this names no processor; leave the option out for this machine's"
        )
    return text


def _activations(text: str) -> str:
    if _unicode(text) not in ("f32", "int15", "int8") and "<" not in text:
        raise argparse.ArgumentTypeError(
            f"'{text}' is none of f32, int15 and int8, nor an encoding such as 'int<8>, scale = f32 per [1, 64]'"
        )
    return text


def _whole(least: int):
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        if value >= 1 << 63:
            raise argparse.ArgumentTypeError(f"'{text}' is too large")
        return value

    return parse


def _between(low: float, high: float):
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or math.isinf(value):
            limit = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
            raise argparse.ArgumentTypeError(f"'{text}' is not a number {limit}")
        return value

    return parse


def _kinds(text: str) -> frozenset[str]:
    kinds = text.split(",")
    for kind in kinds:
        if kind not in ("artifact", "object", "header"):
            raise argparse.ArgumentTypeError(f"'{kind}' is none of artifact, object and header")
    if "artifact" in kinds and len(kinds) > 1:
        raise argparse.ArgumentTypeError("an artifact is one file: it is written alone")
    return frozenset(kinds)


def _token_list(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of token ids separated by commas, as 504,3575,282"
        ) from None


def _keep(text: str) -> tuple[str, str]:
    # Encodings contain '=', patterns do not: the first one divides.
    pattern, equals, encoding = _unicode(text).partition("=")
    if not (pattern.strip() and equals and encoding.strip()):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not PATTERN=ENCODING, as 'token_embd.*=same'"
        )
    return pattern.strip(), encoding.strip()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lowbit",
        description="Run, measure and re-encode language models whose weights have encoded types. A file that is written "
        "appears when it is whole; where its name is a symbolic link, the link stays and what it points to is written.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument(
            "model",
            metavar="MODEL",
            help="a .gguf file, one written by `lowbit encode`, or to run and inspect it one written by `lowbit compile` (.lbm); `inspect` and `encode` read any "
            ".safetensors file, checkpoints of GPTQ, AWQ and bitsandbytes too",
        )
        return sub

    def precision(sub: argparse.ArgumentParser, runs: bool = True) -> None:
        sub.add_argument(
            "--activations",
            type=_activations,
            metavar="TYPE",
            help="how activations are multiplied with encoded weights: f32; rounded in blocks of 32 to int15 (default; "
            "within 0.01 %% of the perplexity of f32) or int8 (0.3 %%); or what they are rounded to, as 'int<8>, scale = f32 per [1, 64]'; "
            "by the scales that `quantize` left in the file: 'int<8>, scale = f32 per tensor, rule = given'",
        )
        sub.add_argument(
            "--outlier-threshold",
            type=_between(0, math.inf),
            metavar="X",
            help="elements of activations from this size on are not rounded, but multiplied in f32: outliers found while the model runs (LLM.int8(): 6)",
        )
        sub.add_argument(
            "--kv-cache",
            type=_unicode,
            metavar="TYPE",
            help="what keys and values are stored as: f32, f16 (default, unless the file says otherwise), int8 or int4 in blocks of 32, or an encoding, as "
            '\'int<8>, scale = f16 per [1, 1, 64]\'; or one for each, as \'{"k": "int8", "v_0": "f16", "v": "int4"}\'',
        )
        sub.add_argument(
            "--prefix-bits",
            type=_whole(1),
            metavar="N",
            help="read only the N high bits of each code, of weights whose planes end there (layout = planes<4, 4>)",
        )
        if runs:
            sub.add_argument(
                "--no-cache",
                action="store_true",
                help="compile anew, and keep nothing on disk (`lowbit cache` lists what is kept)",
            )

    sub = command(
        "generate",
        "continue a text, greedily unless a temperature is given",
        'lowbit generate model.gguf --prompt "Once upon a time" --tokens 100 --temperature 0.8',
    )
    sub.add_argument("--prompt", required=True, metavar="TEXT", help="the text to continue")
    sub.add_argument(
        "--tokens", required=True, type=_whole(1), metavar="N", help="how many tokens to generate"
    )
    sub.add_argument(
        "--temperature",
        type=_between(0, math.inf),
        metavar="T",
        help="0: always the likeliest token (default; 1 where another sampling flag is given)",
    )
    sub.add_argument(
        "--top-k",
        type=_whole(0),
        default=0,
        metavar="K",
        help="sample from the K likeliest tokens (0: all)",
    )
    sub.add_argument(
        "--top-p",
        type=_between(0, 1),
        default=1.0,
        metavar="P",
        help="sample from the fewest tokens that reach probability P (1: all)",
    )
    sub.add_argument("--seed", type=_whole(0), metavar="S", help="sample repeatably")
    sub.add_argument(
        "--stop", action="store_true", help="stop early at the model's end-of-sequence token"
    )
    sub.add_argument(
        "--special",
        action="store_true",
        help="read control tokens in the prompt, as <|im_start|>, as themselves",
    )
    precision(sub)
    sub.add_argument(
        "--json", action="store_true", help="print one JSON object when done, instead of the text"
    )

    sub = command(
        "logits",
        "compute the logits after each token of a sequence",
        "lowbit logits model.gguf --tokens 504,3575,282 --output out.npy",
    )
    sub.add_argument(
        "--tokens", required=True, type=_token_list, metavar="ID,ID,…", help="token ids"
    )
    sub.add_argument(
        "--output", required=True, metavar="FILE.npy", help="gets float32 [length, vocabulary]"
    )
    precision(sub)

    sub = command(
        "perplexity",
        "measure how well the model predicts a text",
        "lowbit perplexity model.gguf --text /usr/share/common-licenses/Artistic --max-tokens 1024",
    )
    sub.add_argument(
        "--text",
        required=True,
        metavar="FILE",
        help="a UTF-8 text; it is one window, its first token is not scored",
    )
    sub.add_argument(
        "--max-tokens", type=_whole(2), metavar="N", help="use the first N tokens only"
    )
    precision(sub)
    sub.add_argument(
        "--json",
        action="store_true",
        help='print {"tokens", "nll" (mean, in nats), "perplexity", "bits_per_byte"}',
    )

    sub = command(
        "inspect",
        "list the tensors of a model with their encodings and sizes",
        "lowbit inspect model.gguf",
    )
    sub.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    sub = command(
        "encode",
        "write a model again with its weights in another encoding",
        "lowbit encode model.gguf --keep 'token_embd.*=same' --output nf4.safetensors \\\n"
        "      --weights '#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>'",
    )
    sub.add_argument(
        "--weights",
        required=True,
        type=_unicode,
        metavar="ENCODING",
        help="for every 2-D tensor, as '#lowbit.quantized<int<8>, scale = f32 per axis 0>'",
    )
    sub.add_argument(
        "--keep",
        action="append",
        default=[],
        type=_keep,
        metavar="PATTERN=ENCODING",
        help="another encoding for tensors of these names (* and ? match; 'same' leaves them as "
        "stored); may be repeated, the first match decides",
    )
    sub.add_argument(
        "--output",
        required=True,
        metavar="OUT",
        help="the new model, for every command again: a GGUF file if the name ends in .gguf (plain "
        "types and layouts of ggml only), else a safetensors file",
    )

    add_quantize(commands, _whole, _keep, _unicode)

    sub = command(
        "compile",
        "compile a model into a file that runs without the compiler",
        "lowbit compile model.gguf --output model.lbm && lowbit generate model.lbm --prompt Hello --tokens 20",
    )
    sub.add_argument(
        "--output",
        "-o",
        required=True,
        metavar="OUT",
        help="the compiled model with its weights, OUT.lbm. It holds machine code: run only "
        "those that you trust. With --emit a name without an ending",
    )
    sub.add_argument(
        "--emit",
        type=_kinds,
        default=frozenset(["artifact"]),
        metavar="KIND,…",
        help="what to write: artifact (default), or for a program in C that calls the model object (OUT.o) and header "
        "(OUT.h; each with OUT.weights)",
    )
    sub.add_argument(
        "--parameters",
        action="append",
        default=[],
        metavar="FILE",
        help="where MODEL is an MLIR program of yours (.mlir), an archive with the tensors that it names; may be repeated. "
        "Its activations are f32 by default",
    )
    sub.add_argument(
        "--context-length",
        type=_whole(1),
        metavar="N",
        help="positions in the key-value cache (the model's own)",
    )
    sub.add_argument(
        "--target-cpu",
        type=_processor,
        metavar="NAME",
        help="the processor to compile for, as LLVM names it, of x86-64 or arm64: x86-64-v3, znver4, neoverse-n1, aarch64 for any arm64, "
        "or with features as x86-64-v3+avxvnni (this machine's)",
    )
    sub.add_argument(
        "--no-threads",
        dest="parallel",
        action="store_const",
        const=False,
        help="code that computes on the thread that calls it, and needs no OpenMP",
    )
    sub.add_argument("--timing", action="store_true", help="print the seconds of each step")
    precision(sub, runs=False)

    sub = commands.add_parser(
        "cache",
        help="list the compiled models that are kept on disk, or remove them",
        description="List the compiled models that are kept on disk, the last used first, or remove them. "
        "They lie in $LOWBIT_COMPILE_CACHE (~/.cache/lowbit/compiled). $LOWBIT_COMPILE_CACHE_LIMIT (in GiB, 20 by default) bounds them; the ones used longest ago go first.",
    )
    sub.set_defaults(run="show_cache")
    sub.add_argument("--clear", action="store_true", help="remove all of them")
    sub.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    sub = commands.add_parser(
        "tune",
        help="measure once how this machine likes its kernels",
        description="Measure products with 4-bit weights in several variants (how far ahead weights are prefetched, whether scales lie between codes, the size of tiles), for some seconds "
        "and with up to 512 MiB in each of two layouts, and keep the best one's options beside the compiled models. Models that are compiled from then on for this machine have them; results stay the same. "
        "LOWBIT_TUNING=off: they are not used.",
    )
    sub.set_defaults(run="tune")
    sub.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return _run(arguments)
    except (
        KeyboardInterrupt
    ):  # also one that comes while an error is reported: the linker gets it, too
        print("\nlowbit: interrupted", file=sys.stderr)
        return 130


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show every character
    try:
        # Only now: --help and wrong usage need neither numpy nor the compiler.
        from . import commands

        getattr(commands, getattr(options, "run", options.command))(options)
        sys.stdout.flush()
    except LowbitError as error:
        report(str(error), error.hint)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in ("lowbit._lowbit", "lowbit._runtime"):
            raise
        report("the compiler is not built", hint="run scripts/setup.sh")
        return 1
    except BrokenPipeError:
        # The reader went away (as `| head` does): nothing is wrong, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        report(f"{error.strerror}: '{error.filename}'" if error.filename else str(error))
        return 1
    except MemoryError:
        report("out of memory", hint="close other programs, or choose an encoding with fewer bits")
        return 1
    except RuntimeError as error:
        report(str(error).removeprefix("error: "))
        return 1
    return 0
