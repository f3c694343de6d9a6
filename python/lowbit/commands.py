"""What each command of `lowbit` does, given its parsed options."""

from __future__ import annotations

import fnmatch
import json
import math
import os
import sys
import time
from argparse import Namespace
from dataclasses import asdict
from typing import TextIO

import numpy as np
from tqdm import tqdm

from . import cache, tuning
from .errors import LowbitError
from .files import check_folder, check_not_model, whole_file
from .inspection import inspect  # noqa: F401 (a command, too)
from .model import Model, Sampler, bits_per_byte, open_archive
from .tokenizer import TextStream


def _progress(total: int, unit: str, **options) -> tqdm:
    # disable=None: only where standard error is a terminal.
    return tqdm(total=total, unit=unit, file=sys.stderr, disable=None, leave=False, **options)


def _open_model(options: Namespace) -> Model:
    return Model(
        options.model,
        options.activations,
        prefix_bits=options.prefix_bits,
        kv_cache=options.kv_cache,
        outlier_threshold=options.outlier_threshold,
        use_cache=not options.no_cache,
    )


def _load(model: Model) -> None:
    """Compiles and loads now, and says so to someone who watches: it may take seconds."""
    watched = sys.stderr.isatty()
    if watched:
        print(f"loading {model.path} …", file=sys.stderr, end="\r", flush=True)
    model.load()
    if watched:
        done = f"compiled {model.path} in {model.compile_seconds:.1f} s"
        print(done if model.compile_times else " " * len(done), file=sys.stderr, end="\r")
        print(end="\n" if model.compile_times else "", file=sys.stderr)


def _sampler(options: Namespace) -> Sampler:
    """Greedy, unless any sampling flag was given."""
    temperature = options.temperature
    if temperature is None:
        sampling = options.top_k > 0 or options.top_p < 1 or options.seed is not None
        temperature = 1.0 if sampling else 0.0
    return Sampler(temperature, options.top_k, options.top_p, options.seed)


def generate(options: Namespace) -> None:
    model = _open_model(options)
    tokenizer = model.tokenizer
    prompt = tokenizer.encode(options.prompt, special=options.special)
    if not prompt:
        raise LowbitError("the prompt is empty", hint="give at least one character with --prompt")

    _load(model)

    # With --json standard output is the object's alone; who watches still sees the text grow.
    echo = not options.json or sys.stderr.isatty()
    shown = sys.stderr if options.json else sys.stdout
    stream = TextStream(tokenizer)

    def show(text: str) -> None:
        if echo:
            shown.write(text)
            shown.flush()

    stop = frozenset([tokenizer.eos]) if options.stop and tokenizer.eos is not None else frozenset()
    show(options.prompt)
    result = model.generate(
        prompt,
        options.tokens,
        _sampler(options),
        on_token=lambda token: show(stream.push(token)),
        stop=stop,
    )
    show(stream.finish() + "\n")
    if options.json:
        record = {
            "prompt_tokens": result.prompt_tokens,
            "tokens": result.tokens,
            "text": tokenizer.decode(result.tokens),
            "tokens_per_second": result.tokens_per_second,
            "prefill_tokens_per_second": result.prefill_tokens_per_second,
            "compile_seconds": model.compile_seconds,
        }
        print(json.dumps(record))
        return
    speed = f"{len(result.tokens)} tokens"
    if result.tokens_per_second is not None:
        speed += f", {result.tokens_per_second:.1f} tokens/s"
    print(
        f"{speed}; prompt {len(prompt)} tokens, {result.prefill_tokens_per_second:.1f} tokens/s; "
        + (
            f"compiled in {model.compile_seconds:.1f} s"
            if model.compile_times
            else "compiled before"
        ),
        file=sys.stderr,
    )


def _show_times(times: dict[str, float], shown: TextIO) -> None:
    for step, seconds in [*times.items(), ("total", sum(times.values()))]:
        print(f"{step:<10} {seconds:7.3f} s", file=shown)


def _compile_outputs(options: Namespace) -> list[str]:
    """The files that `compile` will write (weights only of what has some); that nothing is in their way."""
    if "artifact" in options.emit:
        if not options.output.endswith(".lbm"):
            raise LowbitError(
                f"'{options.output}' does not end in .lbm",
                hint="compiled models are told by that ending",
            )
        outputs = [options.output]
    else:
        if options.output.endswith((".o", ".h", ".weights", ".lbm", "/")):
            raise LowbitError(
                f"'{options.output}' is not a name without an ending",
                hint="--emit object,header --output NAME writes NAME.o, NAME.h and NAME.weights",
            )
        endings = {"header": ".h", "object": ".o"}
        outputs = [options.output + endings[kind] for kind in sorted(options.emit, reverse=True)]
        outputs.append(options.output + ".weights")
    for output in outputs:
        check_folder(output)
        check_not_model(output, options.model)
    return outputs


def _compile_program(options: Namespace) -> dict[str, float]:
    from ._lowbit import emit_program

    if "artifact" in options.emit:
        raise LowbitError(
            f"'{options.model}' is a program, no language model",
            hint="compile it for C with --emit object,header",
        )
    for name in ("context_length", "kv_cache"):
        if getattr(options, name) is not None:
            raise LowbitError(f"--{name.replace('_', '-')} is of language models")
    with open(options.model, encoding="utf-8", errors="replace") as file:
        text = file.read()
    given = {
        "activations": options.activations,
        "outlier_threshold": options.outlier_threshold,
        "prefix_bits": options.prefix_bits,
        "target_cpu": options.target_cpu,
        "parallel": options.parallel,
    }
    if chosen := tuning.options(options.target_cpu):
        given["pipeline"] = tuning.pipeline(chosen)
    return emit_program(
        text,
        options.model,
        options.parameters,
        options.output,
        "object" in options.emit,
        "header" in options.emit,
        {key: value for key, value in given.items() if value is not None},
    )


def _compile_model(options: Namespace) -> dict[str, float]:
    if options.parameters:
        raise LowbitError("--parameters are of programs (.mlir): a model has its own")
    model = Model(
        options.model,
        options.activations,
        context_length=options.context_length,
        prefix_bits=options.prefix_bits,
        kv_cache=options.kv_cache,
        outlier_threshold=options.outlier_threshold,
        target_cpu=options.target_cpu,
        parallel=options.parallel,
    )
    if model.is_compiled:
        raise LowbitError(f"'{options.model}' is compiled already")
    if "artifact" in options.emit:
        model.compile(options.output)
    else:
        model.emit(options.output, "object" in options.emit, "header" in options.emit)
    return model.compile_times


def compile(options: Namespace) -> None:
    if os.path.basename(options.output) in ("", ".", ".."):
        raise LowbitError(f"--output '{options.output}' names no file")
    outputs = _compile_outputs(options)
    compile_it = _compile_program if options.model.endswith(".mlir") else _compile_model
    times = compile_it(options)
    if options.timing:
        _show_times(times, sys.stderr)
    total = sum(times.values())
    print(
        f"{outputs[0]}: {os.path.getsize(outputs[0]):,} bytes, compiled in {total:.1f} s",
        file=sys.stderr,
    )


def show_cache(options: Namespace) -> None:
    if options.clear:
        count = cache.prune(-1)
        print(f"{count} compiled model{'' if count == 1 else 's'} removed", file=sys.stderr)
        return
    entries = cache.entries()
    if options.json:
        print(
            json.dumps({"folder": cache.folder(), "entries": [asdict(entry) for entry in entries]})
        )
        return
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        chosen = ", ".join(f"{key}={value}" for key, value in entry.options.items())
        print(f"{entry.bytes:>15,}  {when}  {entry.model}  {chosen}")
    total = sum(entry.bytes for entry in entries)
    print(f"{len(entries)} compiled models, {total:,} bytes in {cache.folder()}")


def tune(options: Namespace) -> None:
    """Of this machine, anew."""

    def show(found: tuning.Measurement) -> None:
        chosen = tuning.pipeline(found.options)[4:-1] or "the processor's record"
        print(f"{found.gigabytes_per_second:8.1f} GB/s  {100 * found.gain:+6.1f} %  {chosen}")

    start = time.perf_counter()
    best = tuning.measure((lambda found: None) if options.json else show)
    tuning.save(best)
    seconds = time.perf_counter() - start
    if options.json:
        print(json.dumps({"file": tuning.path(), "seconds": seconds, **asdict(best)}))
        return
    chosen = tuning.pipeline(best.options)[4:-1] or "nothing: the processor's record is as good"
    print(f"chosen: {chosen}\nkept in {tuning.path()}, {seconds:.1f} s")
    if os.environ.get("LOWBIT_TUNING") == "off":
        print("LOWBIT_TUNING is off: it is not used", file=sys.stderr)


def logits(options: Namespace) -> None:
    check_folder(options.output)
    check_not_model(options.output, options.model)
    model = _open_model(options)
    _load(model)
    shape = (len(options.tokens), model.vocabulary)
    with whole_file(options.output, ".npy") as temporary:
        # A first chunk before the file: token ids that are out of range leave nothing behind.
        chunks = model.logits(options.tokens)
        chunk = next(chunks)
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        position = 0
        with _progress(shape[0], "token") as bar:
            while chunk is not None:
                out[position : position + len(chunk)] = chunk
                position += len(chunk)
                bar.update(len(chunk))
                chunk = next(chunks, None)
        out.flush()


def perplexity(options: Namespace) -> None:
    try:
        with open(options.text, encoding="utf-8", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise LowbitError(
            f"'{options.text}' is not UTF-8 (byte {error.start})", hint="convert it with iconv"
        ) from None
    model = _open_model(options)
    tokens = model.tokenizer.encode(text, add_bos=False)[: options.max_tokens]
    if len(tokens) > 1:
        _load(model)
    with _progress(len(tokens), "token") as bar:
        nll = model.nll(tokens, progress=bar.update)
    record = {
        "tokens": len(tokens),
        "nll": nll,
        "perplexity": math.exp(nll),
        "bits_per_byte": bits_per_byte(nll, tokens, model.tokenizer),
    }
    if options.json:
        print(json.dumps(record))
    else:
        print(
            f"perplexity {math.exp(nll):.4f} ({len(tokens)} tokens, {nll:.4f} nats per token, "
            f"{record['bits_per_byte']:.4f} bits per byte)"
        )


def encode(options: Namespace) -> None:
    from ._lowbit import encode_archive

    check_folder(options.output)
    names = [tensor.name for tensor in open_archive(options.model).tensors]
    check_not_model(options.output, options.model)
    for pattern, _ in options.keep:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise LowbitError(
                f"no tensor has a name like '{pattern}' (from --keep)",
                hint=f"`lowbit inspect {options.model}` lists the names",
            )
    with _progress(len(names), "tensor") as bar:

        def progress(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update(done - bar.n)

        encode_archive(options.model, options.output, options.weights, options.keep, progress)


def quantize(options: Namespace) -> None:
    from .precision.command import run

    run(options)


def allocate_states(options: Namespace) -> None:
    from .precision.command import run_allocate_states

    run_allocate_states(options)


def calibrate(options: Namespace) -> None:
    from .precision.command import run_calibrate

    run_calibrate(options)
