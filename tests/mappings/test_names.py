"""Every table of pretrained names against PaddleNLP's own tables and against its models, whether or not there is a
family yet that reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.errors import MappingError
from paddle2torch.mappings.language.fields import as_stored, in_words
from paddle2torch.mappings.language.pretrained import Pretrained, name_of_stem, read_names, stem_of
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import FAMILIES, FOLDER, PRETRAINED, family_of_architecture

from ..conftest import run_child
from .conftest import Facts

TABLES = {
    "albert": ("AlbertModel", "AlbertTokenizer", 14),
    "bart": ("BartModel", "BartTokenizer", 2),
    "bert": ("BertModel", "BertTokenizer", 18),
    "convbert": ("ConvBertModel", "ConvBertTokenizer", 3),
    "deberta": ("DebertaModel", "DebertaTokenizer", 1),
    "deberta_v2": ("DebertaV2Model", "DebertaV2Tokenizer", 4),
    "distilbert": ("DistilBertModel", "DistilBertTokenizer", 2),
    "electra": ("ElectraModel", "ElectraTokenizer", 6),
    "ernie": ("ErnieModel", "ErnieTokenizer", 75),
    "ernie_gram": ("ErnieGramModel", "ErnieGramTokenizer", 2),
    "ernie_m": ("ErnieMModel", "ErnieMTokenizer", 4),
    "fnet": ("FNetModel", "FNetTokenizer", 2),
    "gpt": ("GPTModel", "GPTTokenizer", 6),
    "mbart": ("MBartModel", "MBartTokenizer MBart50Tokenizer", 5),
    "megatronbert": ("MegatronBertModel", "MegatronBertTokenizer", 2),
    "mobilebert": ("MobileBertModel", "MobileBertTokenizer", 1),
    "mpnet": ("MPNetModel", "MPNetTokenizer", 1),
    "nezha": ("NeZhaModel", "NeZhaTokenizer", 4),
    "nystromformer": ("NystromformerModel", "NystromformerTokenizer", 1),
    "ppminilm": ("PPMiniLMModel", "PPMiniLMTokenizer", 1),
    "roberta": ("RobertaModel", "RobertaChineseTokenizer", 6),
    "roformer": ("RoFormerModel", "RoFormerTokenizer", 10),
    "skep": ("SkepModel", "SkepTokenizer", 3),
    "squeezebert": ("SqueezeBertModel", "SqueezeBertTokenizer", 3),
    "t5": ("T5Model", "T5Tokenizer", 7),
    "tinybert": ("TinyBertModel", "TinyBertTokenizer", 6),
    "xlnet": ("XLNetModel", "XLNetTokenizer", 5),
}
"""By family: PaddleNLP's backbone, its tokenizer or several, and how many names there are."""

DROPPED = {
    "TinyBertModel": "fit_dense",
    **dict.fromkeys(("RoFormerModel", "UIE", "UIEM", "ConvBertModel"), "pooler"),
}
"""Tensors of PaddleNLP's classes that no class of Hugging Face holds, by a part of their names: counted nowhere."""

WITHOUT_POOLER = {"ElectraModel", "DistilBertModel"}
"""Backbones that have none."""

WITHOUT_TYPES = {"DistilBertModel"}
"""Backbones that have no token types, whatever their configuration says."""

OTHER_TOKENIZERS = dict.fromkeys(("gpt-cpm-large-cn", "gpt-cpm-small-cn-distill"), "GPTChineseTokenizer")
"""Names of which another class of tokenizers has the address."""

OF_SEVERAL_FILES = {
    *("gpt2-en", "gpt2-medium-en", "gpt2-large-en", "gpt2-xl-en"),
    *("ernie-m-base", "ernie-m-large", "uie-m-base", "uie-m-large", "skep_roberta_large_en"),
    *("microsoft/deberta-base", "bart-base", "bart-large"),
}

TOKENIZER_UNDER = {"microsoft/deberta-base": "deberta-base"}
"""Names whose tokenizer has an address under another one alone, whose configuration has none for weights."""

SAYING_NOTHING = {"language"}
"""Entries of PaddleNLP's configurations that are none of the model's."""

WITHOUT_WEIGHTS = {
    "deberta": {"deberta-base"},
    "convbert": {
        f"convbert-{size}-{part}"
        for size in ("base", "medium-small", "small")
        for part in ("generator", "discriminator")
    },
    "gpt": {"gpt2-small-en", *(f"gpt3-{size}-en" for size in ("1.3B", "6.7B", "13B", "89B", "175B"))},
    "electra": {
        f"{name}-{part}"
        for name in ("electra-small", "electra-base", "electra-large", "ernie-health-chinese")
        for part in ("generator", "discriminator")
    },
}
"""Names of which PaddleNLP has a configuration and no address."""

TABLE_WITH_THE_MODEL = {"fnet", "megatronbert"}
"""Families whose table of configurations the class of models has, and that of configurations has not."""

SIZES = {"gpt2-en": (12, 768, 12), "gpt2-medium-en": (24, 1024, 16), "gpt2-large-en": (36, 1280, 20)} | {
    "gpt2-xl-en": (48, 1600, 25)
}
"""Names without a configuration that are not of the default size: layers, width and heads as the paper has them."""

WITHOUT_CONFIGURATION = {
    "deberta": {"microsoft/deberta-base"},
    "gpt": set(SIZES),
    "mpnet": {"mpnet-base"},
}
"""Names whose configuration is the defaults of their class, but for those of SIZES."""

TRUE_SIZE = (
    "bart-base",
    "convbert-small",
    "ernie-3.0-nano-zh",
    "fnet-base",
    "gpt2-en",
    "mobilebert-uncased",
    "nystromformer-base-zh",
    "roformer-english-small-generator",
    "squeezebert-uncased",
    "t5-small",
    "tinybert-4l-312d",
    "uer/chinese-roberta-mini",
    "uer/chinese-roberta-tiny",
    "uie-nano",
    "xlnet-base-cased",
)
"""Names whose models are built as they are."""

NAMES = {
    table.stem: read_names(table.stem, table.read_text("utf-8")) for table in sorted((FOLDER / "names").glob("*.csv"))
}
ENTRIES = [entry for entries in NAMES.values() for entry in entries]
BUILT = [entry for entry in ENTRIES if entry.family != "albert"]
"""Albert's layers share their weights; its counts are compared with its rules."""

OTHER_LAYERS = {
    *("bart", "convbert", "deberta", "deberta_v2", "fnet", "gpt", "mbart", "mobilebert"),
    *("nystromformer", "squeezebert", "t5", "xlnet"),
}
"""Families whose layers are not those of an encoder as usual: their rules are the formula."""

entries = pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])


def size_of(architecture: str, configuration: dict[str, Any]) -> int:
    """The number of parameters of a class, as a formula."""
    known = family_of_architecture(architecture)
    if known is not None and known.name in OTHER_LAYERS:
        rules = known.rules(architecture, complete_fields(known, configuration), prefixed=False)
        return sum(rule.size for rule in rules if rule.kind is Kind.MAPPED)
    field = {"embedding_size": configuration["hidden_size"], "type_vocab_size": 0, "task_type_vocab_size": 3}
    # Where it is not stated, the width of the feed-forward is a constant, in ERNIE-M always four times the hidden size.
    four = architecture in ("ErnieMModel", "UIEM")
    field |= {"intermediate_size": 4 * configuration["hidden_size"] if four else 3072, **configuration}
    field |= {"type_vocab_size": 0} if architecture in WITHOUT_TYPES else {}
    hidden, embedding, inner = field["hidden_size"], field["embedding_size"], field["intermediate_size"]
    pooler = hidden * hidden + hidden
    rows = field["vocab_size"] + field["type_vocab_size"] + 2
    if architecture not in ("NeZhaModel", "RoFormerModel"):
        rows += field["max_position_embeddings"]
    if field.get("use_task_id"):
        rows += field["task_type_vocab_size"]
    layer = 4 * pooler + 2 * hidden * inner + inner + 5 * hidden
    total = rows * embedding + field["num_hidden_layers"] * layer
    total += 0 if embedding == hidden else embedding * hidden + hidden
    total += field.get("relative_attention_num_buckets", 0) * field["num_attention_heads"]
    total += 0 if DROPPED.get(architecture) == "pooler" or architecture in WITHOUT_POOLER else pooler
    return int(total + (2 * (hidden + 1) if architecture in ("UIE", "UIEM") else 0))


def narrow(entry: Pretrained) -> dict[str, Any]:
    """The configuration with every size that it states made small and none of them equal by chance."""
    configuration = entry.configuration
    if entry.family in OTHER_LAYERS:
        # What follows from the sizes is not theirs any more, nor are ids beyond the vocabulary.
        gone = ("d_head", "attention_head_size", "decoder_start_token_id", "forced_bos_token_id")
        kept = {name: value for name, value in configuration.items() if name not in gone}
        return {**kept, **FAMILIES[entry.family].small}
    hidden = 4 * configuration["num_attention_heads"]
    small = {
        "hidden_size": hidden,
        "embedding_size": hidden if configuration.get("embedding_size") == configuration["hidden_size"] else 10,
        "intermediate_size": 2 * hidden + 1,
        "num_hidden_layers": 2,
        "vocab_size": 203,
        "max_position_embeddings": 37,
    }
    return {**configuration, **{name: value for name, value in small.items() if name in configuration}}


@pytest.fixture(scope="module")
def facts() -> Facts:
    """`tables` by family, and `counts` of PaddleNLP's models by class and configuration as JSON."""
    asked = {
        key(architecture, configuration)
        for entry in BUILT
        for architecture in entry.parameters
        for configuration in (narrow(entry), *([entry.configuration] if entry.name in TRUE_SIZE else []))
    }
    models = [json.loads(model) for model in sorted(asked)]
    tables = [[base, tokenizer] for base, tokenizer, _ in TABLES.values()]
    others = sorted({*OTHER_TOKENIZERS.values()})
    tables += [["BertModel", tokenizer] for tokenizer in others]
    answer = run_child(
        Path(__file__).with_name("paddle_facts.py"), {"tables": tables, "models": models, "defaults": []}
    )
    counts = {
        json.dumps(model, sort_keys=True): count(model[0], own)
        for model, own in zip(models, answer["models"], strict=True)
    }
    return {"tables": dict(zip((*TABLES, *others), answer["tables"], strict=True)), "counts": counts}


def with_sizes(entry: Pretrained, alike: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a name of SIZES: that of another name of its vocabulary, but for sizes, of which PaddleNLP
    padded one vocabulary, and for special tokens, which are one token there."""
    layers, width, heads = SIZES[entry.name]
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    words = 50304 if entry.name == "gpt2-medium-en" else 50257
    special = dict.fromkeys(("bos_token_id", "pad_token_id"), alike["eos_token_id"])
    return {**alike, **sizes, "intermediate_size": 4 * width, "vocab_size": words, **special}


def key(architecture: str, configuration: Mapping[str, Any]) -> str:
    """What is asked of a class, its configuration under PaddleNLP's names."""
    family = family_of_architecture(architecture)
    own = dict(configuration) if family is None else as_stored(family.fields, configuration)
    return json.dumps([architecture, own], sort_keys=True)


def count(architecture: str, model: dict[str, Any]) -> int:
    """The parameters of a real model, but for what is dropped."""
    dropped = DROPPED.get(architecture)
    sizes = [prod(shape) for name, shape in model["state"].items() if dropped is not None and dropped in name]
    return int(model["parameters"] - sum(sizes))


def test_each_table_is_compared() -> None:
    assert {family: len(names) for family, names in NAMES.items()} == {
        family: number for family, (_, _, number) in TABLES.items()
    }
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES) == 14 + 180


@pytest.mark.parametrize("family", TABLES)
def test_the_names_are_those_of_paddlenlp(family: str, facts: Facts) -> None:
    tables = facts["tables"][family]
    own = sorted(entry.name for entry in NAMES[family])
    configured = sorted(tables["configurations"])
    assert own == sorted(tables["weights"])
    assert tables["names"] == ([] if family in TABLE_WITH_THE_MODEL else configured)
    assert set(configured) - set(own) == WITHOUT_WEIGHTS.get(family, set())
    assert set(own) - set(configured) == WITHOUT_CONFIGURATION.get(family, set())


@entries
def test_configuration_and_addresses_are_those_of_paddlenlp(entry: Pretrained, facts: Facts) -> None:
    tables = facts["tables"][entry.family]
    expected = tables["configurations"].get(entry.name)
    if entry.name in SIZES:
        expected = with_sizes(entry, tables["configurations"]["gpt2-small-en"])
    elif expected is None:
        expected = {name: tables["defaults"][name] for name in entry.configuration}
        # What live models are compared in, or compute with whatever is said, may stand in the model alone.
        fields = FAMILIES[entry.family].fields
        stated = {one.name for one in fields if one.counts and not one.compared and not one.is_fixed}
        assert stated | {one.name for one in fields if one.counts} & tables["defaults"].keys() <= expected.keys()
    expected = {name: value for name, value in expected.items() if name not in SAYING_NOTHING}
    expected = in_words(FAMILIES[entry.family].fields, expected, entry.name) if entry.family in FAMILIES else expected
    assert dict(entry.configuration) == expected
    # True is 1 for Python.
    assert [type(value) is bool for _, value in sorted(entry.configuration.items())] == [
        type(value) is bool for _, value in sorted(expected.items())
    ]
    assert entry.weights_url == tables["weights"][entry.name]
    addressed = facts["tables"][OTHER_TOKENIZERS.get(entry.name, entry.family)]["tokenizers"]
    addresses = [table.get(TOKENIZER_UNDER.get(entry.name, entry.name)) for table in addressed.values()]
    assert entry.tokenizer_urls == tuple(address for address in addresses if address is not None)


@pytest.mark.parametrize("entry", BUILT, ids=[entry.name for entry in BUILT])
def test_parameter_counts_are_those_of_real_models(entry: Pretrained, facts: Facts) -> None:
    """The formula holds for the real model of this configuration made narrow, and of some at their true size."""
    for architecture, expected in entry.parameters.items():
        configuration = narrow(entry)
        assert size_of(architecture, configuration) == facts["counts"][key(architecture, configuration)]
        assert size_of(architecture, dict(entry.configuration)) == expected
        if entry.name in TRUE_SIZE:
            assert facts["counts"][key(architecture, entry.configuration)] == expected


@entries
def test_each_file_has_a_name_of_its_own(entry: Pretrained) -> None:
    assert (len(entry.tokenizer_urls) > 1) == (entry.name in OF_SEVERAL_FILES)
    assert list(entry.files.values()) == [entry.weights_url, *entry.tokenizer_urls]
    assert all(file.startswith(f"{stem_of(entry.name)}.") for file in entry.files)
    # A path of one part, from which the name can be told.
    assert name_of_stem(stem_of(entry.name)) == entry.name
    assert all(Path(file).name == file for file in entry.files)


def test_aliases_of_one_file_have_one_size() -> None:
    """Six names of ERNIE are second names; the rest of the 180 have weights of their own."""
    sizes: dict[str, set[int]] = {}
    for entry in BUILT:
        sizes.setdefault(entry.weights_url, set()).add(next(iter(entry.parameters.values())))
    assert len(sizes) == 180 - 6
    assert all(len(found) == 1 for found in sizes.values())


def test_names_without_their_family_are_not_registered() -> None:
    assert {entry.name for entry in ENTRIES if entry.family in FAMILIES} == set(PRETRAINED)


@pytest.mark.parametrize("tokenizer", ["", "https://host/vocab.pickle", "https://host/vocab.txt https://host/x"])
def test_a_tokenizer_file_of_an_unknown_kind_is_refused(tokenizer: str) -> None:
    columns = "name,language,weights,tokenizer,counterpart,license"
    with pytest.raises(MappingError, match=r"names/x\.csv, line 2: tokenizer files end in"):
        read_names("x", f"{columns}\nname,English,https://host/x.pdparams,{tokenizer},,\n")
