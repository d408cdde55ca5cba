"""Runs a notebook in a folder: `run_notebook.py NOTEBOOK FOLDER`."""

import sys

import nbclient
import nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
client = nbclient.NotebookClient(
    notebook, timeout=1800, resources={"metadata": {"path": sys.argv[2]}}
)
client.execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        assert output.output_type != "error", output
        if "data" in output:
            print(output.data.get("text/plain", ""))
