"""Whether a training configuration describes the network that its tensors show: of what no tensor tells, such as
strides, nothing else may be said than what transformers' class does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from reprlib import repr as shown
from typing import Any

from ...errors import ConfigurationError
from ...mappings.language.images.network import Network, Sizes

OF_TRAINING = frozenset(
    {
        *("pretrained", "use_ssld", "lr_mult_list", "lab_lr", "freeze_params", "return_all_feats", "in_channels"),
        *("fc_decay", "use_guide", "k", "fix_nan", "drop_path", "drop_rate", "attn_drop_rate", "module"),
        *("out_channels_list", "use_pos", "loc_reg_num"),
    }
)
"""Arguments that change nothing once a network is trained."""

SECTIONS = ("Backbone", "Neck", "Head")

_SCALED = re.compile(r"(?P<name>[A-Za-z0-9]+)_x(?P<whole>[0-9]+)_(?P<part>[0-9]+)")
"""How PaddleClas names a class of a scale: PPLCNet_x0_25."""


def check_architecture(network: Network, sizes: Sizes, section: Mapping[str, Any], origin: str) -> None:
    """Raise ConfigurationError where a training configuration says something of the architecture that is not what the
    network with these sizes has, or that is not understood; `section` is that of the network, `origin` its file."""
    if section.get("Transform"):
        raise ConfigurationError(f"{origin}: Architecture.Transform is given; {network.target} has none")
    kind, expected = section.get("model_type"), network.architecture(sizes).get("model_type")
    if isinstance(kind, str) and kind != expected:
        raise ConfigurationError(
            f"{origin}: is the configuration of a network of the kind {shown(kind)} (model_type), the tensors are "
            f"those of the kind {expected}; is it the configuration of this training?"
        )
    plain = _classifier if network.builder == "PaddleClas" else _sections
    wanted, found = plain(network.architecture(sizes)), plain(section)
    for key in sorted({*wanted, *found}):
        if key.rpartition(".")[2] in OF_TRAINING:
            continue
        # Of what is not said, the library's default holds; where none is known, tensors tell.
        given = found.get(key, network.defaults.get(key, wanted.get(key)))
        if key in wanted and given != wanted[key]:
            raise ConfigurationError(
                f"{origin}: {key} is {shown(given)}{'' if key in found else ' by default'}, but the tensors are those "
                f"of a network with {shown(wanted[key])}, or {network.target} knows no other; is it the configuration "
                "of this training?"
            )
        if key not in wanted and given is not None and given != network.defaults.get(key):
            raise ConfigurationError(
                f"{origin}: {key} is {shown(given)}, of which it is not known that {network.target} does the same"
            )


def _sections(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of backbone, neck and head by their paths; of several heads that of CTC alone, which is the one
    that is run."""
    found: dict[str, Any] = {}
    for name in SECTIONS:
        section = architecture.get(name)
        if section is not None and not isinstance(section, Mapping):
            found[name] = section
            continue
        for key, value in (section or {}).items():
            if key != "head_list":
                found[f"{name}.{key}"] = list(value) if isinstance(value, tuple) else value
                continue
            heads = value if isinstance(value, list) else []
            read = (one["CTCHead"] for one in heads if isinstance(one, Mapping) and "CTCHead" in one)
            inner: Any = next(read, None)
            for part in ("Neck", "Head"):
                given = inner.get(part) if isinstance(inner, Mapping) else None
                if given is not None and not isinstance(given, Mapping):
                    found[f"{name}.CTCHead.{part}"] = given
                else:
                    found |= {f"{name}.CTCHead.{part}.{leaf}": one for leaf, one in (given or {}).items()}
    return found


def _classifier(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of PaddleClas's class, with the scale that may stand in its name."""
    found = {f"Arch.{key}": list(value) if isinstance(value, tuple) else value for key, value in architecture.items()}
    match = _SCALED.fullmatch(str(architecture.get("name")))
    if match is not None:
        found |= {"Arch.name": match["name"], "Arch.scale": float(f"{match['whole']}.{match['part']}")}
    return found
