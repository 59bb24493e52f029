"""The 14 pretrained names of ALBERT in particular: literal counts, counterparts and licences."""

from __future__ import annotations

import pytest

from paddle2torch.mappings.language.pretrained import Pretrained
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED

ENTRIES = {name: entry for name, entry in PRETRAINED.items() if entry.family == "albert"}

COUNTS = {
    "base-v1": (11_683_584, 11_221_680, 11_813_810),
    "large-v1": (17_683_968, 16_795_824, 17_847_474),
    "xlarge-v1": (58_724_864, 54_821_040, 59_021_490),
    "xxlarge-v1": (222_595_584, 206_368_944, 223_158_450),
    "base-v2": (11_683_584, 11_221_680, 11_813_810),
    "large-v2": (17_683_968, 16_795_824, 17_847_474),
    "xlarge-v2": (58_724_864, 54_821_040, 59_021_490),
    "xxlarge-v2": (222_595_584, 206_368_944, 223_158_450),
    "chinese-tiny": (4_080_520, 4_044_312, 4_142_594),
    "chinese-small": (4_742_272, 4_665_096, 4_813_706),
    "chinese-base": (10_547_968, 10_077_192, 10_669_322),
    "chinese-large": (16_548_352, 15_651_336, 16_702_986),
    "chinese-xlarge": (57_589_248, 53_676_552, 57_877_002),
    "chinese-xxlarge": (221_459_968, 205_224_456, 222_013_962),
}
"""Backbone with pooler; masked LM without pooler, tied; pretraining, tied."""

entries = pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))


def test_there_are_fourteen() -> None:
    assert [name.removeprefix("albert-") for name in ENTRIES] == list(COUNTS)


@entries
def test_parameter_counts(entry: Pretrained) -> None:
    backbone, masked, pretraining = COUNTS[entry.name.removeprefix("albert-")]
    assert entry.parameters == {
        "AlbertModel": backbone,
        "AlbertForMaskedLM": masked,
        "AlbertForPretraining": pretraining,
    }


@entries
def test_a_backbone_has_25_tensors(entry: Pretrained) -> None:
    rules = FAMILIES[entry.family].rules("AlbertModel", entry.configuration, prefixed=False)
    assert sum(rule.kind is Kind.MAPPED for rule in rules) == 25


@entries
def test_counterpart_and_licence(entry: Pretrained) -> None:
    if entry.language == "English":
        assert (entry.counterpart, entry.license) == (f"albert/{entry.name}", "apache-2.0")
    else:
        assert entry.counterpart == "voidful/" + entry.name.replace("-", "_")
        assert entry.license is None
