"""What sentence-transformers makes of texts with a folder's path alone.

Runs as a child process that reads {"folder", "texts"} and prints the vectors and the longest text that it takes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from sentence_transformers import SentenceTransformer


def main() -> None:
    request: dict[str, Any] = json.load(sys.stdin)
    model = SentenceTransformer(request["folder"], device="cpu", local_files_only=True)
    vectors = model.encode(request["texts"]).astype("float64")
    print(json.dumps({"vectors": vectors.tolist(), "longest": model.max_seq_length}), flush=True)


if __name__ == "__main__":
    main()
