"""What `lowbit inspect` shows of an archive or a compiled model."""

from __future__ import annotations

import itertools
import json
import math
from argparse import Namespace
from typing import Sequence

from ._runtime import Artifact
from .model import open_archive


def _print_table(rows: list[tuple[str, ...]], right: Sequence[int]) -> None:
    """In columns, of which the numbers in `right` end where their heads do; the last one is ragged."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        print("  ".join([*cells, row[-1]]))


def _describe_type(value: dict) -> str:
    dtype = value["dtype"].lower()
    if "shape" not in value:
        return dtype
    extents = (str(extent) if extent >= 0 else "?" for extent in value["shape"])
    return "x".join([*extents, dtype])


def _inspect_artifact(options: Namespace) -> None:
    artifact = Artifact(options.model)
    origin, signature, sizes = (
        json.loads(artifact.origin),
        json.loads(artifact.signature),
        artifact.sizes,
    )
    parameters = [
        {
            "name": parameter["key"],
            "component": parameter["component"],
            "type": _describe_type(parameter["type"]),
            "bytes": sizes[parameter["symbol"]],
        }
        for parameter in signature["parameters"]
    ]
    packing = {parameter.get("pack") for parameter in signature["parameters"]}
    entries = [
        {"name": entry["name"], "arguments": [_describe_type(type) for type in entry["arguments"]]}
        for entry in signature["entries"]
        if entry["name"] not in packing
    ]
    total = sum(parameter["bytes"] for parameter in parameters)
    if options.json:
        needs = {key: signature[key] for key in ("threads", "matrix_unit")}
        totals = {"code_bytes": sizes["code"], "parameter_bytes": total}
        record = {"compiled": origin | needs, "entries": entries, "parameters": parameters}
        print(json.dumps(record | {"totals": totals}))
        return
    _print_table(
        [("parameter", "component", "bytes", "type")]
        + [(p["name"], p["component"], f"{p['bytes']:,}", p["type"]) for p in parameters],
        right=[2],
    )
    for entry in entries:
        # Of a model with many layers most are alike: its keys and values.
        runs = [(type, len(list(group))) for type, group in itertools.groupby(entry["arguments"])]
        listed = ", ".join(type if count == 1 else f"{count} of {type}" for type, count in runs)
        print(f"entry {entry['name']}({listed})")
    options_given = (f"{key}={value}" for key, value in origin["options"].items())
    chosen = ", ".join(options_given) or "what it says itself"
    needs = (", OpenMP" if signature["threads"] else "") + (
        ", the matrix unit (AMX)" if signature["matrix_unit"] else ""
    )
    print(
        f"compiled from {origin['model']} with {chosen}; for {origin.get('processor', 'the processor')}{needs}; "
        f"{sizes['code']:,} bytes of code, {total:,} bytes of parameters"
    )


def inspect(options: Namespace) -> None:
    if options.model.endswith(".lbm"):
        _inspect_artifact(options)
        return
    tensors = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "encoding": tensor.encoding,
            "bits_per_weight": tensor.bits_per_weight,
            "bytes": tensor.bytes,
        }
        for tensor in open_archive(options.model).tensors
    ]
    parameters = sum(math.prod(tensor["shape"]) for tensor in tensors)
    total = sum(tensor["bytes"] for tensor in tensors)
    bits = 8 * total / parameters if parameters else 0.0
    if options.json:
        totals = {"parameters": parameters, "bits_per_weight": bits, "bytes": total}
        print(json.dumps({"tensors": tensors, "totals": totals}))
        return
    rows = [("tensor", "shape", "bits/weight", "bytes", "encoding")]
    for tensor in tensors:
        shape = "x".join(map(str, tensor["shape"]))
        size = f"{tensor['bytes']:,}"
        rows.append(
            (tensor["name"], shape, f"{tensor['bits_per_weight']:.3f}", size, tensor["encoding"])
        )
    _print_table(rows, right=[1, 2, 3])
    print(
        f"{len(tensors)} tensors, {parameters:,} parameters, {bits:.3f} bits/weight, {total:,} bytes"
    )
