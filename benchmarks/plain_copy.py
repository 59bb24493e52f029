"""Copy the file SOURCE to OUTPUT and print how long the copying itself took: `python plain_copy.py SOURCE OUTPUT`."""

from __future__ import annotations

import shutil
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    shutil.copyfile(sys.argv[1], sys.argv[2])
    print(time.perf_counter() - began)
