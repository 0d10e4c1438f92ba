"""How much of some texts stands in others."""
import numpy as np

PIECE = 1 << 22


def windows(text, size):
    """-> a number of 64 bits for each window of so many characters"""
    x = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.uint64)
    h = np.zeros(max(0, len(x) - size + 1), np.uint64)
    for i in range(size if len(h) else 0):
        h = h * np.uint64(0x9E3779B97F4A7C15) + x[i:i + len(h)]
    return h


def share(texts, known, size):
    """-> which share of the windows of so many characters, eight apart, occur in one of the known texts"""
    asked = np.concatenate([windows(t, size)[::8] for t in texts])
    found = np.zeros(len(asked), bool)
    for text in known:
        for at in range(0, len(text), PIECE):
            found |= np.isin(asked, windows(text[at:at + PIECE + size], size))
    return found.mean()
