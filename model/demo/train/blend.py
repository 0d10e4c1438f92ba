"""Write weights between those that a training began with and those that it came to.

usage: blend.py OUT SHARE WEIGHTS.safetensors CHECKPOINT

SHARE is that of the checkpoint's averaged weights, from 0 to 1.  What the training added stays for the most part, and
what it took by overfitting goes.  OUT can be exported, or, as last.pt of a run, be trained on.
"""
import sys

import torch

import model as M
from train import read_safetensors

out, share, before, after = sys.argv[1], float(sys.argv[2]), sys.argv[3], torch.load(sys.argv[4])
base = M.flatten(after["cfg"], M.imported(after["cfg"], read_safetensors(before)))
blended = base + share * (after["ema"].float() - base)
torch.save(dict(after, flat=blended, ema=blended.clone()), out)
