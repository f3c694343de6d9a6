"""`lowbit quantize MODEL --recipe RECIPE --calibration TEXT --output OUT`, `lowbit calibrate`, and `lowbit allocate-states`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from typing import Callable, Iterator

from ..errors import LowbitError

# No numpy and no compiler before they are needed: --help is quick, and works where nothing is built.


class _ListRecipes(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **options):
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from .recipes import RECIPES
        from .steps import REGISTRY, Quantizer, describe

        for recipe in RECIPES.values():
            print(f"{recipe.name:12} {recipe.description}\n{'':12} steps: {recipe.pipeline}")
            print(f"{'':12} weights: {recipe.weights}")
            if recipe.activations:
                print(f"{'':12} run it with --activations '{recipe.activations}'")
        print("\nsteps, for --recipe 'STEP{option=value},STEP':\n")
        for _, step in sorted(REGISTRY.items(), key=lambda item: issubclass(item[1], Quantizer)):
            print(describe(step))
        parser.exit()


def add_parser(
    commands: argparse._SubParsersAction,
    whole: Callable[[int], Callable[[str], int]],
    keep: Callable[[str], tuple[str, str]],
    unicode: Callable[[str], str],
) -> None:
    sub = commands.add_parser(
        "quantize",
        help="decide what a model's weights are stored in, by what a text shows of its inputs",
        description="Quantize a model layer by layer: calibrate on a text, tame outliers, choose codes that make up for one another. "
        "An interrupted run goes on where it was (OUT.partial).",
        epilog="example:\n  lowbit quantize model.gguf --recipe gptq --calibration book.txt --output w4.safetensors --report w4.html\n"
        "  lowbit quantize --list-recipes\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run="quantize")
    _add_source(sub, whole)
    sub.add_argument(
        "--output", required=True, metavar="OUT", help="the new model, as for `encode`"
    )
    sub.add_argument(
        "--recipe",
        default="gptq",
        type=unicode,
        metavar="RECIPE",
        help="a name, or steps of your own; --list-recipes shows both (gptq)",
    )
    sub.add_argument(
        "--list-recipes", action=_ListRecipes, help="list recipes and steps, and do nothing else"
    )
    sub.add_argument(
        "--weights",
        type=unicode,
        metavar="ENCODING",
        help="of what products multiply with, as '#lowbit.quantized<int<3>, scale = f16 per [1, 32], rule = mse>' (the recipe's)",
    )
    sub.add_argument(
        "--budget",
        type=unicode,
        metavar="SIZE",
        help="for recipes that allocate (mixed): bits per weight, bytes, time of the products of a token, or two of them: 3.5bpw, 60MB, 4ms",
    )
    sub.add_argument(
        "--candidates",
        action="append",
        default=[],
        type=unicode,
        metavar="ENCODING",
        help="what such a recipe chooses from; may be repeated (2 to 8 bits in blocks)",
    )
    sub.add_argument(
        "--context",
        type=whole(1),
        metavar="N",
        help="share the budget, in bytes, with the keys and values of N tokens, of all sequences together: what each cache is stored as becomes part of the plan and of the output",
    )
    sub.add_argument(
        "--cache-candidates",
        action="append",
        default=[],
        type=unicode,
        metavar="TYPE",
        help="what caches choose from, as --kv-cache takes it; may be repeated (f16, int8, 6 bits in blocks, int4)",
    )
    sub.add_argument(
        "--activation-candidates",
        action="append",
        default=[],
        type=unicode,
        metavar="TYPE",
        help="under a budget with a time: what the inputs of each weight choose from, as --activations takes it; may be repeated (not allocated)",
    )
    sub.add_argument(
        "--plan",
        metavar="FILE.json",
        help="encodings by tensor and types by cache, as --save-plan writes them; edit them as you like",
    )
    sub.add_argument(
        "--save-plan", metavar="FILE.json", help="write the encodings that were chosen"
    )
    sub.add_argument(
        "--keep",
        action="append",
        default=[],
        type=keep,
        metavar="PATTERN=ENCODING",
        help="another encoding for tensors of these names (* and ? match; 'same' leaves them as stored); may be repeated, "
        "the first match decides",
    )
    sub.add_argument("--report", metavar="FILE.html", help="write a page that shows what was done")
    sub.add_argument("--json", metavar="FILE", help="write what was done as JSON")

    sub = commands.add_parser(
        "calibrate",
        help="keep statistics of what a model's weights are multiplied with",
        description="Run a model on a text, layer by layer, and write the second moments, sums, maxima and minima of the inputs of its "
        "products as an archive (python/lowbit/precision/statistics.py has the schema). An interrupted run goes on where it was.",
        epilog="example:\n  lowbit calibrate model.gguf --calibration book.txt --output statistics.safetensors\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run="calibrate")
    _add_source(sub, whole)
    sub.add_argument("--output", required=True, metavar="OUT.safetensors", help="the statistics")
    sub.add_argument(
        "--statistics",
        type=lambda text: unicode(text).split(","),
        default=["moments", "sums", "maxima", "minima"],
        metavar="KIND,…",
        help="some of moments, squares, sums, magnitudes, maxima, minima, histogram, of inputs, and fisher, of weights (moments,sums,maxima,minima)",
    )

    sub = commands.add_parser(
        "allocate-states",
        help="choose what an optimizer's states are stored in, under a budget",
        description="Choose an encoding for each state of each parameter of a checkpoint that lowbit.optim saved, so that the next step changes least, "
        "as the step itself shows in f32. The plan is what lowbit.optim.compile(states='plan.json') takes.",
        epilog="example:\n  lowbit allocate-states states.safetensors --budget 1.5MB --output plan.json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run="allocate_states")
    sub.add_argument("checkpoint", metavar="CHECKPOINT", help="a file, or a folder of shards")
    sub.add_argument(
        "--budget",
        required=True,
        type=unicode,
        metavar="SIZE",
        help="bytes of all states, or bits per element: 1.5MB, 6bpw",
    )
    sub.add_argument("--output", required=True, metavar="PLAN.json", help="the plan")
    sub.add_argument(
        "--rule", type=unicode, metavar="RULE", help="a name or an .mlir file (the checkpoint's)"
    )
    sub.add_argument(
        "--gradients",
        metavar="FILE.safetensors",
        help="of the next step, by the names of the parameters (the momentum is taken for one)",
    )
    sub.add_argument(
        "--candidates",
        action="append",
        default=[],
        type=unicode,
        metavar="STATES",
        help="a scheme or an encoding, as compile() takes it; may be repeated (f32, bf16, dynamic8, companded8, int4)",
    )


def _add_source(sub: argparse.ArgumentParser, whole: Callable[[int], Callable[[str], int]]) -> None:
    """A model, and what it is calibrated on."""
    sub.add_argument(
        "model",
        metavar="MODEL",
        help="a .gguf file, one that Lowbit wrote, or a program of your own (.mlir)",
    )
    sub.add_argument(
        "--calibration",
        metavar="FILE",
        help="a UTF-8 text like those that the model will read; recipes that look at weights alone, as `rtn`, need none",
    )
    sub.add_argument(
        "--tokens",
        type=whole(2),
        default=32768,
        metavar="N",
        help="of the text, at most (%(default)s)",
    )
    sub.add_argument(
        "--length",
        type=whole(2),
        default=1024,
        metavar="N",
        help="tokens of a sequence, at most (%(default)s, or what the model takes)",
    )
    sub.add_argument(
        "--parameters",
        action="append",
        default=[],
        metavar="FILE",
        help="where MODEL is an MLIR program: the archive with its parameters",
    )
    sub.add_argument(
        "--tokenizer",
        metavar="FILE",
        help="where MODEL is an MLIR program: its tokenizer.json (the one beside its parameters)",
    )


def _check_files(options: argparse.Namespace, *outputs: str | None) -> None:
    from ..files import check_outputs

    inputs = [options.calibration, options.tokenizer, getattr(options, "plan", None)]
    models = [options.model, *options.parameters]
    check_outputs(filter(None, outputs), models, filter(None, inputs))


def _read(path: str) -> str:
    from ..files import read_text

    return read_text(path, "give a plain text file")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    from tqdm import tqdm

    with tqdm(unit="step", file=sys.stderr, disable=None, leave=False) as bar:

        def progress(done: int, total: int, what: str) -> None:
            bar.total = total
            bar.set_postfix_str(what, refresh=False)
            bar.update(done - bar.n)

        yield progress


def run_calibrate(options: argparse.Namespace) -> None:
    from .calibrate import calibrate
    from .sources import open_source

    _check_files(options, options.output)
    source = open_source(options.model, options.parameters, options.tokenizer)
    if not options.calibration:
        raise LowbitError("there is no text to calibrate on", hint="give --calibration FILE")
    with _progress() as progress:
        taps = calibrate(
            source,
            options.output,
            _read(options.calibration),
            options.statistics,
            options.tokens,
            options.length,
            progress,
        )
    print(f"{len(taps)} taps, {taps[0].rows} rows each: {options.output}")


def run_allocate_states(options: argparse.Namespace) -> None:
    from .. import _lowbit
    from ..files import check_folder, check_not_model
    from ..optim import allocate_states
    from .allocation import write_plan

    check_folder(options.output)
    check_not_model(options.output, options.checkpoint)
    gradients = None
    if options.gradients:
        try:
            archive = _lowbit.Archive(options.gradients)
            gradients = {tensor.name: archive.tensor_f32(tensor.name) for tensor in archive.tensors}
        except RuntimeError as error:
            raise LowbitError(str(error)) from None
    plan, costs = allocate_states(
        options.checkpoint,
        options.budget,
        rule=options.rule,
        gradients=gradients,
        candidates=options.candidates,
    )
    write_plan(options.output, plan)
    table = {item.key: {c.encoding: c for c in item.candidates} for item in costs.items}
    for tensor, encoding in plan.tensors.items():
        chosen = table[tensor][encoding]
        print(f"{chosen.bytes:>13,}  {chosen.loss:9.2e}  {tensor}  {encoding}")
    print(
        f"{plan.bytes:>13,}  {plan.loss:9.2e}  all; no choice has less loss than {plan.bound:.2e}"
    )
    for rejected in costs.rejected:
        print(
            f"rejected: {rejected.tensor}, {rejected.candidate}: {rejected.reason}", file=sys.stderr
        )


def run(options: argparse.Namespace) -> None:
    from ..files import whole_file
    from .activations import as_plan
    from .allocation import Plan, read_plan, write_plan
    from .quantize import Options, Quantization
    from .recipes import find
    from .report import summary, write_report
    from .sources import open_source

    _check_files(options, options.output, options.report, options.json, options.save_plan)
    if options.output.endswith((".lbm", ".mlir")):
        raise LowbitError(
            f"'{options.output}' has the name of a compiled model or a program, and weights are to be written",
            hint="give --output a name that ends in .safetensors, or .gguf",
        )
    source = open_source(options.model, options.parameters, options.tokenizer)
    choices = Options(
        recipe=options.recipe,
        weights=options.weights,
        keep=options.keep,
        plan=read_plan(options.plan).tensors if options.plan else None,
        budget=options.budget,
        candidates=options.candidates,
        context=options.context,
        cache_candidates=options.cache_candidates,
        activation_candidates=options.activation_candidates,
        tokens=options.tokens,
        length=options.length,
    )
    text = _read(options.calibration) if options.calibration else None
    with _progress() as progress:
        record = Quantization(source, options.output, choices, text, progress).run()
    if options.save_plan:
        write_plan(
            options.save_plan,
            # What no product multiplies with, as a table that --keep encodes, is in no plan.
            Plan(
                {t["key"]: t["base"] for t in record["tensors"] if "base" in t}
                | {cache["key"]: cache["encoding"] for cache in record.get("caches", ())}
                | as_plan(
                    {t["key"]: t["activations"] for t in record["tensors"] if "activations" in t}
                ),
                budget=options.budget,
            ),
        )
    record["command"] = shlex.join(["lowbit", *sys.argv[1:]])
    if options.calibration:
        record["calibration"]["text"] = os.path.basename(options.calibration)
    print(summary(record))
    recipe = find(options.recipe)
    if recipe.activations:
        flags = f"--activations '{recipe.activations}'"
        flags += f" --kv-cache '{recipe.kv_cache}'" if recipe.kv_cache else ""
        print(f"made to run with {flags}", file=sys.stderr)
    if options.json:
        with whole_file(options.json, ".json") as path, open(path, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
    if options.report:
        write_report(record, options.report)
