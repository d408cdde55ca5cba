# Runs pip with this process's arguments, and ends when the pipe at standard input does: with the
# process that holds its other end, however that one ended.
import sys

# `python3 -c` imports from the working directory first, where it does not heed PYTHONSAFEPATH.
if sys.path and sys.path[0] == "":
    del sys.path[0]

import importlib.util
import os
import runpy
import threading

# Kept apart from what pip, or a program that it starts, may read.
pipe = os.dup(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def end_with_the_parent():
    os.read(pipe, 1)
    os._exit(1)


threading.Thread(target=end_with_the_parent, daemon=True).start()
if importlib.util.find_spec("pip") is None:
    sys.exit("No module named pip")
runpy.run_module("pip", run_name="__main__", alter_sys=True)
