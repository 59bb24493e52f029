"""PP-MiniLM: from PaddleNLP's models and tokenizers to Hugging Face's, which are those of BERT."""

from __future__ import annotations

from dataclasses import replace

from .language import encoders
from .language.checks import check_heads
from .language.family import Defaults, Family
from .language.fields import Field
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts

PPMINILM = Family(
    name="ppminilm",
    base="PPMiniLMModel",
    source_prefix="ppminilm.",
    target_prefix="bert.",
    target_type="bert",
    repeat=encoders.REPEAT,
    backbone=(encoders.POSITION_IDS, *encoders.backbone()),
    pooler=encoders.POOLER,
    models=tuple(
        replace(make("PPMiniLM", "Bert"), returns=returns)
        for make, returns in (
            (encoders.base, ("last_hidden_state", "pooler_output")),
            (encoders.sequence_classification, ("logits",)),
            (encoders.question_answering, ("start_logits", "end_logits")),
            (encoders.multiple_choice, ("logits",)),
        )
    ),
    fields=encoders.fields(Field("vocab_size", 21128, 30522)),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("do_lower_case", "is_split_into_words", "max_seq_len", "pad_to_max_seq_len"),
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    check_configuration=check_heads,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts(
        (TokenizerClass("PPMiniLMTokenizer", (WORDPIECE,)),), "PPMiniLMTokenizer", settings={"do_lower_case": True}
    ),
    small=encoders.SMALL,
    variants=encoders.VARIANTS,
    # There is no paper: the model was published with PaddleNLP, in its folder examples/model_compression/pp-minilm.
    citation=(
        "@misc{paddlenlp2021ppminilm,",
        "  title        = {{PP-MiniLM}, in {PaddleNLP}: An Easy-to-use and High Performance {NLP} Library},",
        "  author       = {{PaddleNLP Contributors}},",
        "  howpublished = {https://github.com/PaddlePaddle/PaddleNLP},",
        "  year         = {2021}",
        "}",
    ),
)
