#!/usr/bin/env python3
"""The tables of nn/README.md, "For those who come from PyTorch".

    page.py <nn/README.md> <out>     writes a line ROW(KIND, "PyTorch's expression", leat's expression) for every pair
"""
import re
import sys

KINDS = {"Layers": "LAYER", "Initialisers": "INIT", "Optimisers": "OPTIM"}


def rows(path):
    """(kind, PyTorch's expression, leat's expression) for every pair of the tables."""
    found, kind = [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        if line.startswith("## "):
            kind = KINDS.get(line[3:].strip(), "VALUE")
        if not line.startswith("| `"):
            continue
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.strip().strip("|").split(" | ")]
        if len(cells) != 2 or len(cells[0]) != len(cells[1]):
            sys.exit(f"{path}:{number}: not as many expressions on the left as on the right")
        for torch, leat in zip(*cells):
            found.append(("SCHEDULE" if leat.startswith("(leat_schedule)") else kind, torch, leat))
    return found


if __name__ == "__main__":
    pairs = rows(sys.argv[1])
    if len(pairs) < 80:
        sys.exit(f"{sys.argv[1]}: only {len(pairs)} pairs: have the tables another form now?")
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        for kind, torch, leat in pairs:
            text = torch.replace("\\", "\\\\").replace('"', '\\"')
            out.write(f'ROW({kind}, "{text}", {leat})\n')
