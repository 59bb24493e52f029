"""The names that transformers gives to the tensors of networks, and what else becomes of them: written by hand, apart
from the networks' own rows."""

from __future__ import annotations

import re

import numpy as np

from ...networks import Arrays

NORM = (
    (r"\._mean$", ".running_mean"),
    (r"\._variance$", ".running_var"),
)

FIRST_LCNET = (
    (r"^conv1\.", "convolution."),
    (r"^blocks([2-6])\.(\d+)\.", lambda match: f"blocks.{int(match[1]) - 2}.layers.{match[2]}."),
    (r"\.dw_conv\.", ".depthwise_convolution."),
    (r"\.pw_conv\.", ".pointwise_convolution."),
    (r"\.se\.conv1\.", ".squeeze_excitation_module.convolutions.0."),
    (r"\.se\.conv2\.", ".squeeze_excitation_module.convolutions.2."),
    (r"\.conv\.weight$", ".convolution.weight"),
    (r"\.bn\.", ".normalization."),
)

THIRD_LCNET = (
    (r"\.conv_kxk\.", ".conv_symmetric."),
    (r"\.conv_1x1\.", ".conv_small_symmetric."),
    *FIRST_LCNET,
)

HGNET = (
    (r"^stem\.", "embedder."),
    (r"^stages\.", "encoder.stages."),
    (r"\.aggregation_squeeze_conv\.", ".aggregation.0."),
    (r"\.aggregation_excitation_conv\.", ".aggregation.1."),
    (r"\.conv\.weight$", ".convolution.weight"),
    (r"\.bn\.", ".normalization."),
)

VISION_TOWER = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^blocks\.", "layers."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"^neck\.0\.", "neck.conv1."),
    (r"^neck\.1\.", "neck.layer_norm1."),
    (r"^neck\.2\.", "neck.conv2."),
    (r"^neck\.3\.", "neck.layer_norm2."),
)

SVTR = (
    (r"^head\.ctc_head\.fc\.", "head.head."),
    (r"^head\.ctc_encoder\.encoder\.", "head.encoder."),
    (
        r"^head\.encoder\.(conv1|conv2|conv3|conv4|conv1x1)\.",
        lambda match: f"head.encoder.conv_block.{['conv1', 'conv2', 'conv3', 'conv4', 'conv1x1'].index(match[1])}.",
    ),
    (r"(conv_block\.\d)\.conv\.", r"\1.convolution."),
    (r"(conv_block\.\d)\.norm\.", r"\1.normalization."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"\.mixer\.qkv\.", ".self_attn.qkv."),
    (r"\.mixer\.proj\.", ".self_attn.projection."),
)

MOBILE_PAGES = (
    (r"^backbone\.layer_list\.", "model.layer."),
    (r"^neck\.ins_conv\.", "model.neck.insert_conv."),
    (r"^neck\.inp_conv\.", "model.neck.input_conv."),
    (r"\.se_block\.", ".squeeze_excitation_block."),
    (r"^head\.binarize\.conv1\.", "head.conv_down.convolution."),
    (r"^head\.binarize\.conv_bn1\.", "head.conv_down.norm."),
    (r"^head\.binarize\.conv2\.", "head.conv_up.convolution."),
    (r"^head\.binarize\.conv_bn2\.", "head.conv_up.norm."),
    (r"^head\.binarize\.conv3\.", "head.conv_final."),
)

LENGTHS = {"7": "longratio", "5": "midratio", "3": "shortratio"}

SERVER_PAGES = (
    (r"^neck\.ins_conv\.", "model.neck.input_channel_adjustment_convolution."),
    (r"^neck\.inp_conv\.", "model.neck.input_feature_projection_convolution."),
    (r"^neck\.pan_head_conv\.", "model.neck.path_aggregation_head_convolution."),
    (r"^neck\.pan_lat_conv\.", "model.neck.path_aggregation_lateral_convolution."),
    (r"^neck\.incl([1-4])\.", lambda match: f"model.neck.intraclass_blocks.{int(match[1]) - 1}."),
    (r"\.conv1x1_reduce_channel\.", ".conv_reduce_channel."),
    (r"\.conv1x1_return_channel\.", ".conv_final.convolution."),
    (r"(intraclass_blocks\.\d)\.bn\.", r"\1.conv_final.norm."),
    (r"\.c_layer_(\d)x\d\.", lambda match: f".symmetric_conv_long_{LENGTHS[match[1]]}."),
    (r"\.v_layer_(\d)x1\.", lambda match: f".vertical_long_to_small_conv_{LENGTHS[match[1]]}."),
    (r"\.q_layer_1x(\d)\.", lambda match: f".horizontal_small_to_long_conv_{LENGTHS[match[1]]}."),
    (r"^head\.binarize\.conv1\.", "head.binarize_head.conv_down.convolution."),
    (r"^head\.binarize\.conv_bn1\.", "head.binarize_head.conv_down.norm."),
    (r"^head\.binarize\.conv2\.", "head.binarize_head.conv_up.convolution."),
    (r"^head\.binarize\.conv_bn2\.", "head.binarize_head.conv_up.norm."),
    (r"^head\.binarize\.conv3\.", "head.binarize_head.conv_final."),
    (r"^head\.cbn_layer\.last_3\.conv\.", "head.local_refinement_module.convolution_backbone.convolution."),
    (r"^head\.cbn_layer\.last_3\.bn\.", "head.local_refinement_module.convolution_backbone.norm."),
    (r"^head\.cbn_layer\.last_1\.", "head.local_refinement_module.convolution_final."),
)

TABLES = (
    (r"^head\.structure_attention_cell\.i2h\.", "head.structure_attention_cell.input_to_hidden."),
    (r"^head\.structure_attention_cell\.h2h\.", "head.structure_attention_cell.hidden_to_hidden."),
    (r"^head\.structure_generator\.0\.", "head.structure_generator.fc1."),
    (r"^head\.structure_generator\.1\.", "head.structure_generator.fc2."),
)

PYRAMID = (
    (r"^neck\.conv_t\.convs\.", "backbone.post_csp_pan.channel_projector."),
    (r"^neck\.", "backbone.post_csp_pan."),
    (r"\.main_conv\.", ".conv2."),
    (r"\.short_conv\.", ".conv1."),
    (r"\.final_conv\.", ".conv3."),
    (r"((?:top_down|bottom_up)_blocks\.\d)\.blocks\.", r"\1.bottlenecks."),
    (r"\.dwconv\.", ".depthwise_convolution.convolution."),
    (r"\.bn1\.", ".depthwise_convolution.normalization."),
    (r"\.pwconv\.", ".pointwise_convolution.convolution."),
    (r"\.bn2\.", ".pointwise_convolution.normalization."),
    (r"\.conv\.weight$", ".convolution.weight"),
    (r"\.bn\.", ".normalization."),
)

LAYERS = ((r"^last_conv\.", "last_convolution."), (r"^fc\.", "head."))

PARTS = {
    "pp_lcnet": (r"(?=conv1\.|blocks)", "encoder.", FIRST_LCNET, LAYERS),
    "pp_lcnet_textline": (r"(?=conv1\.|blocks)", "encoder.", FIRST_LCNET, LAYERS),
    "pp_ocrv5_mobile_det": (r"backbone\.(?!layer_list)", "model.backbone.encoder.", THIRD_LCNET, MOBILE_PAGES),
    "pp_ocrv5_mobile_rec": (r"backbone\.", "model.backbone.encoder.", THIRD_LCNET, SVTR),
    "pp_ocrv5_server_det": (r"backbone\.", "model.backbone.", HGNET, SERVER_PAGES),
    "pp_ocrv5_server_rec": (r"backbone\.", "model.backbone.", HGNET, SVTR),
    "slanet": (r"backbone\.", "backbone.vision_backbone.encoder.", FIRST_LCNET, (*PYRAMID, *TABLES)),
    "slanext": (r"backbone\.vision_tower_high\.(?!net_)", "backbone.vision_tower.", VISION_TOWER, TABLES),
}
"""What the backbone's names begin with, what stands there in transformers, and what is replaced in what follows and in
all other names."""

DROPPED = re.compile(r"head\.(?:thresh|gtc_head|before_gtc|loc_generator)\.|backbone\.(?:fc|last_conv)\.|.*\.net_3\.")

AS_STORED = re.compile(r".*\.(?:weight_ih|weight_hh|rel_pos_[hw])$")
"""The matrices that both frameworks hold alike."""

FIRST_CONVOLUTIONS = {
    "slanet": "backbone.conv1.conv.weight",
    "slanext": "backbone.vision_tower_high.patch_embed.proj.weight",
}
"""Where PaddleOCR hands its network blue, green and red, and transformers red, green and blue."""


def renamed(network: str, name: str) -> str:
    """The name in transformers."""
    beginning, target, within, others = PARTS[network]
    match = re.match(beginning, name)
    rest = name if match is None else name[match.end() :]
    rest = re.sub(r"^backbone\.vision_tower_high\.net_2\.", "backbone.post_conv.", rest)
    for pattern, replacement in (*(others if match is None else within), *NORM):
        rest = re.sub(pattern, replacement, rest)
    return rest if match is None else target + rest


def expected(network: str, arrays: Arrays) -> Arrays:
    """What transformers' folder of these values must hold."""
    found: Arrays = {}
    for name, array in arrays.items():
        if DROPPED.match(name):
            continue
        if array.ndim == 2 and not AS_STORED.match(name):
            array = array.T
        if name == FIRST_CONVOLUTIONS.get(network):
            array = array[:, ::-1]
        found[renamed(network, name)] = np.ascontiguousarray(array)
    return found
