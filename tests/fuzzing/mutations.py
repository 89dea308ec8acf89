"""Valid files made invalid, by chance that a number fixes."""

import copy
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import onnx
import torch
import yaml

ODD_NUMBERS = (0, -1, 1, 0.5, 2**31, 2**63, 10**9, -(10**30), 1e308, float("nan"), float("inf"))
ODD_TEXTS = ("", "0", "1", "-1", "nan", "../../x", "/etc/hostname", ".", "\x00", "\ud800", "ß" * 300, "a\nb", "🙂" * 9)
ODD_VALUES = (None, True, [], {}, [[]], [[[[]]]], [None], {"": None}, *ODD_NUMBERS, *ODD_TEXTS)
ODD_BYTES = (
    b"\x00",
    b"\xff",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\x00" * 4,
    b"\x80",
    b"[",
    b'"',
    b"\n",
)
ODD_NAMES = ("../out", "/tmp/out", "a/../../out", ".", "..", "", "a" * 300, "a\\..\\..\\out", "a//b", "con", "C:x")
TAR_TYPES = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE)
DEPTH = 100_000  # of brackets: more than any parser's stack

Mutate = Callable[[bytes, random.Random], bytes]


def mutated(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """Another file of that kind: damaged as one of its format in two cases of three, else in its bytes."""
    if suffix in OF_FORMAT and rng.random() < 2 / 3:
        return OF_FORMAT[suffix](content, rng)
    return in_bytes(content, rng)


def in_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut short, with some bytes changed, or with a piece lost, doubled or put in; often near the start."""
    data = bytearray(content)
    if rng.random() < 0.1:
        return content[: rng.randrange(len(content) + 1)]
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        end = max(1, min(len(data), rng.choice((64, 512, len(data)))))
        place, length = rng.randrange(end), rng.choice((1, 4, 32))
        match rng.randrange(5):
            case 0:
                data[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case 3:
                piece = rng.choice(ODD_BYTES)
                data[place : place + len(piece)] = piece
            case 4:
                data[place : place + length] = rng.randbytes(length)
    return bytes(data)


def in_text(content: bytes, rng: random.Random) -> bytes:
    """One or two words replaced, lost or doubled."""
    words = content.decode(errors="replace").split(" ")
    for _ in range(rng.choice((1, 2))):
        place = rng.randrange(len(words))
        words[place : place + 1] = rng.choice(([], [words[place]] * 2, [str(rng.choice(ODD_VALUES))], [words[-1]]))
        words = words or [""]
    return " ".join(words).encode(errors="surrogatepass")


def changed(value: Any, rng: random.Random) -> Any:
    """Plain containers with one to three values replaced, lost, doubled or in the place of another."""
    tree = {"root": copy.deepcopy(value)}
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(tree, rng)
    return tree.get("root")


def _change(tree: dict[str, Any], rng: random.Random) -> None:
    parent: Any = tree
    key: Any = "root"
    while isinstance(child := parent[key], dict | list) and child and rng.random() < 0.9:
        parent, key = child, rng.choice(list(child) if isinstance(child, dict) else range(len(child)))
    match rng.randrange(6):
        case 0 if parent is not tree:
            del parent[key]
        case 1:
            parent[key] = [parent[key]]
        case 2 if isinstance(parent, list):
            parent.insert(0, copy.deepcopy(parent[key]))
        case 2 if parent is not tree:
            parent[str(rng.choice(ODD_TEXTS))] = parent.pop(key)
        case 3 if isinstance(parent[key], int | float):
            parent[key] = rng.choice((-parent[key], parent[key] * 10**6, str(parent[key]), [parent[key]] * 3))
        case 4:
            parent[key] = copy.deepcopy(rng.choice(list(parent.values()) if isinstance(parent, dict) else parent))
        case _:
            parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))


def in_json(content: bytes, rng: random.Random) -> bytes:
    """Another document; now and then one that is nested without end, or a number of many digits."""
    if rng.random() < 0.02:
        return rng.choice((b"[" * DEPTH, b'{"a":' * DEPTH, b"[" * DEPTH + b"]" * DEPTH, b"9" * 5000, b""))
    return json.dumps(changed(json.loads(content), rng)).encode()


def in_yaml(content: bytes, rng: random.Random) -> bytes:
    """Another document; now and then one that is nested without end or refers to itself."""
    if rng.random() < 0.05:
        tagged = b"a: !!python/object/apply:os.system [ls]"
        return rng.choice((b"[" * 5000, b"a: &a [*a]", tagged, b"? [a]\n: b", b"9" * 5000))
    return yaml.safe_dump(changed(yaml.safe_load(content), rng)).encode(errors="surrogatepass")


def in_tensors(content: bytes, rng: random.Random) -> bytes:
    """A checkpoint with other values, tensors of other shape and type among them."""
    held = changed(torch.load(io.BytesIO(content), weights_only=True), rng)
    for _ in range(rng.choice((0, 1, 2))):
        weights = next((each for each in (held, *_mappings(held)) if _named_tensors(each)), None)
        if weights is not None:
            name = rng.choice(_named_tensors(weights))
            weights[name] = _other_tensor(weights[name], rng)
    file = io.BytesIO()
    torch.save(held, file)
    return file.getvalue()


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value.values() if isinstance(each, dict)] if isinstance(value, dict) else []


def _named_tensors(value: Any) -> list[str]:
    return [name for name, each in value.items() if torch.is_tensor(each)] if isinstance(value, dict) else []


def _other_tensor(tensor: torch.Tensor, rng: random.Random) -> torch.Tensor:
    match rng.randrange(6):
        case 0:
            return tensor[None]
        case 1:
            return tensor.flatten()[:0]
        case 2:
            return tensor.new_zeros(1).expand(2**40)  # of a single number
        case 3:
            return tensor.to(rng.choice((torch.int8, torch.float64, torch.bool, torch.complex64)))
        case 4:
            return torch.cat([tensor[None], tensor[None]]).flatten(0, 1) if tensor.ndim else tensor
        case _:
            return tensor.to_sparse() if tensor.ndim else tensor.double().fill_(float("nan"))


def in_zip(content: bytes, rng: random.Random) -> bytes:
    """An archive with members of other names, kinds and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for entry in before.infolist():
            data = before.read(entry)
            if rng.random() < 0.5:
                entry.filename = rng.choice((*ODD_NAMES, entry.filename)).encode(errors="replace").decode()
                entry.external_attr = rng.choice((0, 0xA1FF0000, 0x21FF0000, 0x41FF0000, 0x11FF0000))
                data = rng.choice((data, b"", bytes(2**24), in_bytes(data, rng)))
            after.writestr(entry, data)
    return file.getvalue()


def in_tar(content: bytes, rng: random.Random) -> bytes:
    """As ``in_zip``."""
    file = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as before, tarfile.open(fileobj=file, mode="w:gz") as after:
        for entry in before:
            stream = before.extractfile(entry)
            data = b"" if stream is None else stream.read()
            if rng.random() < 0.5:
                entry.name = rng.choice((*ODD_NAMES, entry.name))
                entry.type = rng.choice(TAR_TYPES)
                entry.linkname = rng.choice(ODD_NAMES)
                data = rng.choice((data, b"", bytes(2**24), in_bytes(data, rng)))
            entry.size = len(data)
            after.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def in_onnx(content: bytes, rng: random.Random) -> bytes:
    """An exported file with other metadata."""
    model = onnx.ModelProto.FromString(content)
    for entry in model.metadata_props:
        entry.value = in_json(entry.value.encode(), rng).decode(errors="replace")
    return model.SerializeToString()


OF_FORMAT: dict[str, Mutate] = {
    ".json": in_json,
    ".yaml": in_yaml,
    ".txt": in_text,
    ".xml": in_text,
    ".ckpt": in_tensors,
    ".pth": in_tensors,
    ".zip": in_zip,
    ".gz": in_tar,
    ".onnx": in_onnx,
}
