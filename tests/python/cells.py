"""Prints the code of a notebook as one script, to be checked as such."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    cells = json.load(file)["cells"]
print("\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
