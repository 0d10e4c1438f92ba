"""Writes protocolN.{zip,legacy}.pth and companyN.{zip,legacy}.pth: PyTorch files from Python's own pickler, for the tests
of package weights.

torch itself is not needed: the classes and functions below only lend their names to the pickles. Run it in this folder.
"""

import argparse
import collections
import datetime
import pathlib
import pickle
import struct
import sys
import types
import zipfile

torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils


def named(module, name):
    """A class that pickles as module.name."""
    cls = type(name, (), {"__module__": module.__name__})
    setattr(module, name, cls)
    return cls


Float, BFloat16, Half = (named(torch, n + "Storage") for n in ("Float", "BFloat16", "Half"))


def _rebuild_tensor_v2(*args):
    raise NotImplementedError


def _rebuild_parameter(*args):
    raise NotImplementedError


for f in (_rebuild_tensor_v2, _rebuild_parameter):
    f.__module__ = "torch._utils"
    setattr(utils, f.__name__, f)


class Storage:
    def __init__(self, cls, key, count, data):
        self.cls, self.key, self.count, self.data = cls, key, count, data


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, size, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.args


class Parameter:
    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        return _rebuild_parameter, (self.data, True, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol, legacy):
        super().__init__(file, protocol)
        self.legacy = legacy

    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", obj.cls, obj.key, "cuda:0", obj.count) + ((None,) if self.legacy else ())
        return None


def dumps(obj, protocol, legacy):
    import io

    out = io.BytesIO()
    Pickler(out, protocol, legacy).dump(obj)
    return out.getvalue()


storages = [
    Storage(Float, "0", 6, struct.pack("<6f", *range(6))),
    Storage(BFloat16, "1", 5, b"".join(struct.pack("<f", x)[2:] for x in range(1, 6))),
    Storage(Half, "2", 2, struct.pack("<2e", 1.5, -0.25)),
]
state = collections.OrderedDict()
state["matrix"] = Parameter(Tensor(storages[0], 0, (2, 3), (1, 2)))
state["vector"] = Tensor(storages[1], 2, (2,), (1,))
state["half"] = Tensor(storages[2], 0, (1, 1, 2), (2, 2, 1))
state._metadata = collections.OrderedDict([("", {"version": 1})])
value = {
    "model": state,
    "step": 2**40,
    "huge": -(2**90),
    "loss": [1.5, None, True, ("a", -3, 70000, -(2**40)), "ü" * 300],
    "shared": state["vector"],
}



def lent(module, name, call=False):
    """A class or function that pickles as module.name."""
    parts = module.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[: i + 1])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
            if i:
                setattr(sys.modules[".".join(parts[:i])], parts[i], sys.modules[path])
    made = (lambda *args: None) if call else type(name, (), {})
    made.__module__, made.__name__, made.__qualname__ = module, name, name
    setattr(sys.modules[module], name, made)
    return made


class Reduced:
    """An object that pickles as what __reduce__ of another one would give."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


class AttributeDict(dict):
    pass


AttributeDict.__module__ = "lightning_fabric.utilities.data"
lent("lightning_fabric.utilities.data", "x")
sys.modules["lightning_fabric.utilities.data"].AttributeDict = AttributeDict

dtype, scalar = lent("numpy", "dtype"), lent("numpy.core.multiarray", "scalar", True)
reconstruct, ndarray = lent("numpy.core.multiarray", "_reconstruct", True), lent("numpy", "ndarray")
float64 = Reduced(dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 0))
v3 = lent("torch._utils", "_rebuild_tensor_v3", True)
from_type, subclass = lent("torch._tensor", "_rebuild_from_type_v2", True), lent("torch", "Tensor")
Long, Bool, Double, Complex = (named(torch, n + "Storage") for n in ("Long", "Bool", "Double", "ComplexFloat"))
untyped = lent("torch.storage", "UntypedStorage")
others = [Storage(Long, "3", 3, bytes(24)), Storage(Bool, "4", 4, bytes(4)), Storage(Double, "5", 1, bytes(8)),
          Storage(Complex, "6", 2, bytes(16)), Storage(untyped, "7", 4, bytes(4))]
company = collections.OrderedDict(state)
for name, s, shape in (("ids", others[0], (3,)), ("mask", others[1], (2, 2)), ("loss", others[2], ()), ("spectrum", others[3], (2,))):
    company[name] = Tensor(s, 0, shape, (2, 1)[-len(shape):] if shape else ())
company["eighths"] = Reduced(v3, (others[4], 0, (4,), (1,), False, collections.OrderedDict(), lent("torch", "float8_e4m3fn"), None))
company["vector"] = Reduced(from_type, (_rebuild_tensor_v2, subclass, state["vector"].args, {"tag": 1}))
company["scalar"] = Reduced(scalar, (float64, struct.pack("<d", 1.5)))
company["array"] = Reduced(reconstruct, (ndarray, (0,), b"b"), (1, (2,), float64, False, bytes(16)))
company["size"] = Reduced(lent("torch", "Size"), ((2, 3),))
company["device"] = Reduced(lent("torch", "device"), ("cuda", 0))
company["dtype"] = lent("torch", "bfloat16")
company["args"] = argparse.Namespace(n_layer=2, lr=1e-4)
company["path"], company["when"] = pathlib.PurePosixPath("/data"), datetime.timedelta(1)
company["counts"], company["default"] = collections.Counter("aab"), collections.defaultdict(list, a=[1])
company["queue"], company["hyper"] = collections.deque([1, 2]), AttributeDict(a=1)
company["complex"], company["bytes"] = 1 + 2j, b"abc"
company["set"] = Reduced(set, ([1, 2],))


def write_zip(path, value, storages, protocol):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        parts = {"data.pkl": dumps(value, protocol, False), "version": b"3\n"}
        parts |= {"data/" + s.key: s.data for s in storages}
        for name, data in parts.items():
            z.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), data)


def write_legacy(path, value, storages, protocol):
    with open(path, "wb") as f:
        sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        for part in (0x1950A86A20F9469CFC6C, 1001, sizes, value, [s.key for s in storages]):
            f.write(dumps(part, protocol, True))
        for s in storages:
            f.write(struct.pack("<q", s.count) + s.data)


for protocol in (2, 3, 4, 5):
    write_zip(f"protocol{protocol}.zip.pth", value, storages, protocol)
    write_legacy(f"protocol{protocol}.legacy.pth", value, storages, protocol)
for protocol in (2, 4):
    beside = {"state_dict": company, "rng": Tensor(others[1], 0, (4,), (1,))}
    write_zip(f"company{protocol}.zip.pth", beside, storages + others, protocol)
    write_legacy(f"company{protocol}.legacy.pth", beside, storages + others, protocol)
