"""Kinds of PaddleNLP's models, and of PaddleOCR's networks, that belong to no family here because no class of Hugging
Face's computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """`names` are PaddleNLP's: of model types, of classes and of published weights. `reason` says what differs, and the
    way out if there is one."""

    names: tuple[str, ...]
    reason: str


_REFUSALS = (
    Refusal(
        (
            *("ernie-ctm", "ernie_ctm", "wordtag", "nptag"),
            *("ErnieCtmModel", "ErnieCtmWordtagModel", "ErnieCtmNptagModel", "ErnieCtmForTokenClassification"),
        ),
        "ERNIE-CTM computes its first layer with another GELU than the rest and mixes a summary of the content into "
        "every token, which no class of Hugging Face's does",
    ),
    Refusal(
        (
            *("ernie_doc", "ernie-doc-base-zh", "ernie-doc-base-en", "ErnieDocModel"),
            *(f"ErnieDocFor{task}" for task in ("SequenceClassification", "TokenClassification", "QuestionAnswering")),
        ),
        "ERNIE-Doc carries a memory from segment to segment and attends by relative positions with biases of its own, "
        "which no class of Hugging Face's does",
    ),
    Refusal(
        (
            *("ernie_layout", "ernie-layoutx-base-uncased", "uie-x-base", "ErnieLayoutModel", "UIEX"),
            *("ErnieLayoutForPretraining", "ErnieLayoutForSequenceClassification"),
            *("ErnieLayoutForTokenClassification", "ErnieLayoutForQuestionAnswering"),
        ),
        "ERNIE-Layout adds full-width tables of places on the page and reads the page's image, in another way than "
        "LayoutLMv2: no class of Hugging Face's does the same",
    ),
    Refusal(
        (
            *("ernie_vil", "ernie_vil_text_model", "ernie_vil_vision_model"),
            *("ernie_vil-2.0-base-zh", "disco_diffusion_ernie_vil-2.0-base-zh"),
            *("ErnieViLModel", "ErnieViLTextModel", "ErnieViLVisionModel"),
        ),
        "ERNIE-ViL joins ERNIE as the tower of texts with a vision transformer, and no class of Hugging Face's has "
        "these two",
    ),
    Refusal(
        (
            *("ernie_gen", "ernie-gen-base-en", "ernie-gen-large-en", "ernie-gen-large-en-430g"),
            *("ErnieForGeneration", "ErnieGenModel"),
        ),
        "ERNIE-GEN generates with streams of its own, in an older format: no class of Hugging Face's does the same",
    ),
    Refusal(
        (
            *("ernie-health-chinese-generator", "ernie-health-chinese-discriminator"),
            *("ErnieHealthForTotalPretraining", "ErnieHealthDiscriminator"),
        ),
        "ERNIE-Health's discriminator has three heads, one of which scores candidate ids, and no class of Hugging "
        "Face's has them",
    ),
    Refusal(
        (
            *("rembert", "RemBertModel"),
            *(f"RemBertFor{task}" for task in ("MaskedLM", "QuestionAnswering", "SequenceClassification")),
            *("RemBertForMultipleChoice", "RemBertForTokenClassification"),
        ),
        "PaddleNLP 2.8.1 cannot run RemBERT, so that there is nothing to prove a conversion by",
    ),
    Refusal(
        (
            *("big_bird", "bigbird-base-uncased", "BigBirdModel", "BigBirdForPretraining"),
            *(f"BigBirdFor{task}" for task in ("SequenceClassification", "QuestionAnswering", "TokenClassification")),
            *(f"BigBirdFor{task}" for task in ("MultipleChoice", "MaskedLM", "CausalLM")),
        ),
        "PaddleNLP's BigBird draws the tokens that it attends to anew in every call, so that it does not even agree "
        "with itself",
    ),
)

REFUSED: Mapping[str, str] = {name: refusal.reason for refusal in _REFUSALS for name in refusal.names}
"""The reasons by name."""

_NETWORKS = (
    Refusal(
        ("PPHGNet_small",), "PP-OCRv4's server networks have the backbone PPHGNet, of which transformers has no class"
    ),
    Refusal(
        (
            *("MobileNetV1Enhance", "MobileNetV3", "ResNet", "ResNet_vd", "ResNetFPN", "ResNet31", "ResNet32"),
            *("ResNet45", "ResNet_SAST", "ResNet_ASTER", "ResNetRFL", "PPLCNetV2_base", "TableResNetExtra"),
        ),
        "PP-OCRv3 and what is older have backbones of which transformers has no class for the reading of pictures",
    ),
    Refusal(
        ("SVTRNet", "SVTRv2", "RepSVTR", "RepSVTR_det", "ViTSTR", "ViTParseQ", "MTB", "ShallowCNN"),
        "transformers has no class for SVTR, RepSVTR, ViTSTR, PARSeq, NRTR and SATRN as PaddleOCR trains them",
    ),
    Refusal(
        ("Vary_VIT_B_Formula", "PPHGNetV2_B4_Formula", "PPHGNetV2_B6_Formula", "HybridTransformer", "DonutSwinModel"),
        "recognisers of formulas write a text step by step, which has not been proven to be equal here",
    ),
    Refusal(
        ("PPLCNetV4", "LCNetV4"),
        "PP-OCRv6 is trained in branches that transformers has fused: its weights are no copies but sums, which this "
        "program does not prove bit by bit",
    ),
    Refusal(
        (
            *("LayoutXLMForSer", "LayoutXLMForRe", "LayoutLMv2ForSer", "LayoutLMv2ForRe", "LayoutLMForSer"),
            "Kie_backbone",
        ),
        "extractors of key information read texts and places beside the picture, and are no such networks",
    ),
)

REFUSED_BACKBONES: Mapping[str, str] = {name: refusal.reason for refusal in _NETWORKS for name in refusal.names}
"""The reasons by what PaddleOCR's training configurations call the backbone."""
