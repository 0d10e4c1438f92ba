"""Writes protocolN.{zip,legacy}.pth: PyTorch files from Python's own pickler, for the tests of package weights.

torch itself is not needed: the classes and functions below only lend their names to the pickles. Run it in this folder.
"""

import collections
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

for protocol in (2, 3, 4, 5):
    with zipfile.ZipFile(f"protocol{protocol}.zip.pth", "w", zipfile.ZIP_STORED) as z:
        parts = {"data.pkl": dumps(value, protocol, False), "version": b"3\n"}
        parts |= {"data/" + s.key: s.data for s in storages}
        for name, data in parts.items():
            z.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), data)
    with open(f"protocol{protocol}.legacy.pth", "wb") as f:
        sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        for part in (0x1950A86A20F9469CFC6C, 1001, sizes, value, [s.key for s in storages]):
            f.write(dumps(part, protocol, True))
        for s in storages:
            f.write(struct.pack("<q", s.count) + s.data)
