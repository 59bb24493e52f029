"""The papers that introduced the families, as BibTeX entries."""

from __future__ import annotations

CITATIONS: dict[str, tuple[str, ...]] = {
    "albert": (
        "@inproceedings{lan2020albert,",
        "  title     = {{ALBERT}: A Lite {BERT} for Self-supervised Learning of Language Representations},",
        "  author    = {Lan, Zhenzhong and Chen, Mingda and Goodman, Sebastian and Gimpel, Kevin and Sharma, Piyush",
        "               and Soricut, Radu},",
        "  booktitle = {International Conference on Learning Representations},",
        "  year      = {2020},",
        "  url       = {https://arxiv.org/abs/1909.11942}",
        "}",
    ),
    "bert": (
        "@inproceedings{devlin2019bert,",
        "  title     = {{BERT}: Pre-training of Deep Bidirectional Transformers for Language Understanding},",
        "  author    = {Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina},",
        "  booktitle = {Proceedings of the 2019 Conference of the North American Chapter of the Association for",
        "               Computational Linguistics: Human Language Technologies, Volume 1},",
        "  pages     = {4171--4186},",
        "  year      = {2019},",
        "  doi       = {10.18653/v1/N19-1423}",
        "}",
    ),
}
"""Family -> lines of its entry."""
