#!/usr/bin/env python3
"""Write the interfaces that Coffer serves, as data, from the service models of an installed botocore.

usage: trim.py BOTOCORE_DATA_FOLDER

What is kept is what a server needs: operations, shapes, members, constraints and errors. Prose, examples and
endpoints are left out. Shapes and operations are sorted; members keep their order, which is that of messages and XML.
"""

import gzip
import json
import pathlib
import sys

SERVICES = {"ecr": "2015-09-21", "iam": "2010-05-08", "kms": "2014-11-01", "organizations": "2016-11-28", "sts": "2011-06-15"}

# Operations that are left out, by a word in their names: invitations between organizations, which one installation has
# none of, and whose shapes contain themselves.
LEFT_OUT = {"organizations": ("Handshake", "Responsibility", "InviteAccount", "InviteOrganization", "EnableAllFeatures", "LeaveOrganization", "EffectivePolicyValidation")}

METADATA = ("apiVersion", "protocol", "jsonVersion", "targetPrefix", "signingName", "endpointPrefix", "xmlNamespace")
SHAPE = ("type", "required", "enum", "min", "max", "pattern", "sensitive", "flattened", "timestampFormat", "union", "document")
MEMBER = ("locationName", "flattened", "xmlAttribute", "xmlNamespace", "timestampFormat", "queryName", "idempotencyToken")
ERROR = ("code", "httpStatusCode", "senderFault")


def pick(source, names):
    kept = {name: source[name] for name in names if name in source}
    return {name: value for name, value in kept.items() if value is not False and value != []}


def reference(member):
    """A reference to a shape: its name, or an object if the reference says more."""
    more = pick(member, MEMBER)
    return {"shape": member["shape"], **more} if more else member["shape"]


def trim_shape(shape):
    out = pick(shape, SHAPE)
    for part in ("member", "key", "value"):
        if part in shape:
            out[part] = reference(shape[part])
    if "members" in shape:
        out["members"] = {name: reference(member) for name, member in shape["members"].items()}
    if shape.get("exception"):
        out["exception"] = True
        out.update(pick(shape, ("fault",)))
        out.update(pick(shape.get("error", {}), ERROR))
    return out


def trim_operation(operation):
    out = {}
    for part in ("input", "output"):
        if part in operation:
            out[part] = operation[part]["shape"]
    out.update(pick(operation.get("output", {}), ("resultWrapper",)))
    out.update(pick(operation, ("authtype", "idempotent")))
    out["errors"] = sorted(error["shape"] for error in operation.get("errors", []))
    return out


def reachable(operations, shapes):
    """The names of the shapes that the operations need."""
    todo = [name for op in operations.values() for name in [op.get("input"), op.get("output"), *op["errors"]] if name]
    seen = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        shape = shapes[name]
        parts = [shape[part] for part in ("member", "key", "value") if part in shape]
        for part in parts + list(shape.get("members", {}).values()):
            todo.append(part if isinstance(part, str) else part["shape"])
    return seen


def trim(model, left_out):
    metadata = pick(model["metadata"], METADATA)
    metadata.setdefault("signingName", metadata["endpointPrefix"])
    operations = {
        name: trim_operation(operation)
        for name, operation in model["operations"].items()
        if not any(word in name for word in left_out)
    }
    shapes = {name: trim_shape(shape) for name, shape in model["shapes"].items()}
    needed = reachable(operations, shapes)
    return metadata, operations, {name: shape for name, shape in shapes.items() if name in needed}


def lines(entries):
    """One line for each entry, sorted by name."""
    return ",\n".join(f"{json.dumps(name)}: {json.dumps(entries[name], ensure_ascii=True)}" for name in sorted(entries))


def read(folder):
    for path in (folder / "service-2.json.gz", folder / "service-2.json"):
        if path.exists():
            data = path.read_bytes()
            return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    sys.exit(f"trim.py: there is no service model in {folder}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for service, version in SERVICES.items():
        metadata, operations, shapes = trim(read(pathlib.Path(sys.argv[1]) / service / version), LEFT_OUT.get(service, ()))
        text = f'{{\n"metadata": {json.dumps(metadata)},\n"operations": {{\n{lines(operations)}\n}},\n"shapes": {{\n{lines(shapes)}\n}}\n}}\n'
        (pathlib.Path(__file__).parent / f"{service}.json").write_text(text)


if __name__ == "__main__":
    main()
