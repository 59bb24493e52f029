"""Lets PaddleNLP write ELECTRA's two models as one, and each alone.

Runs as a child process that reads {"configuration": {...}, "folder": path} and writes total/, generator/ and
discriminator/ there.
"""

from __future__ import annotations

import json
import os
import sys

from paddlenlp.transformers import ElectraConfig, ElectraForTotalPretraining
from paddlenlp.utils.log import logger


def main() -> None:
    logger.set_level("ERROR")
    request = json.load(sys.stdin)
    model = ElectraForTotalPretraining(ElectraConfig(**request["configuration"]))
    for name, part in (("total", model), ("generator", model.generator), ("discriminator", model.discriminator)):
        part.save_pretrained(os.path.join(request["folder"], name))
    print("{}", flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
