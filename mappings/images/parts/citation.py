"""The papers that introduced the networks."""

from __future__ import annotations

PADDLEOCR = (
    "@misc{cui2025paddleocr30technicalreport,",
    "  title         = {{PaddleOCR} 3.0 Technical Report},",
    "  author        = {Cui, Cheng and Sun, Ting and Lin, Manhui and Gao, Tingquan and Zhang, Yubo and Liu, Jiaxuan",
    "                   and Wang, Xueqing and Zhang, Zelun and Zhou, Changda and Liu, Hongen and Zhang, Yue and Lv,",
    "                   Wenyu and Huang, Kui and Zhang, Yichao and Zhang, Jing and Zhang, Jun and Liu, Yi and Yu,",
    "                   Dianhai and Ma, Yanjun},",
    "  year          = {2025},",
    "  eprint        = {2507.05595},",
    "  archivePrefix = {arXiv},",
    "  url           = {https://arxiv.org/abs/2507.05595}",
    "}",
)
"""PP-OCRv5, and the networks for tables as PaddleOCR 3 has them; its authors ask for it."""
