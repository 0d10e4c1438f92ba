"""Write weights between those that a training began with and those that it came to.

usage: blend.py OUT WEIGHTS.safetensors SHARE CHECKPOINT [SHARE CHECKPOINT]...

OUT gets WEIGHTS and, of what lies between them and each checkpoint's averaged weights, SHARE.  What the training added
stays for the most part, and what it took by overfitting goes.  OUT can be exported, or, as last.pt of a run, be trained
on as the first checkpoint.
"""
import sys

import torch

import model as M
from train import read_safetensors

out, before = sys.argv[1:3]
points = [(float(share), torch.load(path)) for share, path in zip(sys.argv[3::2], sys.argv[4::2])]
first = points[0][1]
base = M.flatten(first["cfg"], M.imported(first["cfg"], read_safetensors(before)))
blended = base.clone()
for share, after in points:
    blended += share * (after["ema"].float() - base)
torch.save(dict(first, flat=blended, ema=blended.clone()), out)
