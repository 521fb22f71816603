"""The card of every network: what ``tutseg nets`` lists, and where it is built. Nothing else belongs here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetCard:
    """What ``tutseg nets`` prints of a net; `module` is imported only when the net is built.

    `parameters` is our count at the published size, written down so that a list needs no torch; a test counts them.
    `weights` is the pretrained file of its encoder (`tutseg.weights`), or empty. `gives` is what a method may ask of it
    (`Method.needs`): "encode", the parts of an `EncoderDecoder`; "decoded", the features in front of its ``head``;
    "prompt", a `Promptable`; "classify", logits of as many classes as its option ``classes`` says; "draw", pictures of
    latent vectors; and the name of every further head, such as "sdf".
    """

    name: str
    module: str
    paper: str
    stride: int
    published_size: int
    published_millions: float | None
    parameters: int
    source: str
    weights: str
    options: dict
    gives: tuple[str, ...]


CARDS: dict[str, NetCard] = {}


def register(
    name: str,
    module: str,
    paper: str,
    stride: int,
    published_size: int,
    published_millions: float | None,
    parameters: int,
    source: str,
    weights: str = "",
    gives: tuple[str, ...] = ("encode", "decoded"),
    **options: object,
) -> None:
    """Add a net to the registry.

    `module` has ``build(in_size, **options) -> nn.Module``, which takes ``pretrained=True`` where there are `weights`.
    """
    CARDS[name] = NetCard(
        name, module, paper, stride, published_size, published_millions, parameters, source, weights, options, gives
    )


register(
    name="mobilenet-unet",
    module="tutseg.nets.mobilenet_unet",
    paper="SAM-KD",
    stride=32,
    published_size=256,
    published_millions=2.9,
    parameters=2_903_361,
    source="SAM-KD Table 3; timm mobilenetv2_100",
    weights="mobilenetv2",
)
register(
    name="lite0-unet",
    module="tutseg.nets.lite0_unet",
    paper="none",
    stride=32,
    published_size=224,
    published_millions=None,
    parameters=3_350_033,
    source="timm tf_efficientnet_lite0 (2.96 M) and a decoder of 0.39 M",
    weights="efficientnet-lite0",
)
register(
    name="mobilenet-unet-sdf",
    module="tutseg.nets.two_heads",
    paper="SAM-KD",
    stride=32,
    published_size=256,
    published_millions=2.9,
    parameters=2_903_394,
    source="mobilenet-unet and a head for the signed distance",
    weights="mobilenetv2",
    gives=("encode", "decoded", "sdf"),
    encoder="mobilenet",
)
register(
    name="lite0-unet-sdf",
    module="tutseg.nets.two_heads",
    paper="none",
    stride=32,
    published_size=224,
    published_millions=None,
    parameters=3_350_050,
    source="lite0-unet and a head for the signed distance",
    weights="efficientnet-lite0",
    gives=("encode", "decoded", "sdf"),
    encoder="lite0",
)
register(
    name="unet",
    module="tutseg.nets.unet",
    paper="SAM-KD",
    stride=16,
    published_size=256,
    published_millions=7.76,
    parameters=7_763_041,
    source="Ronneberger 2015; SAM-KD Table 3 prints 7.8 M",
    width=32,
)
register(
    name="unet-s",
    module="tutseg.nets.unet",
    paper="lab profile",
    stride=16,
    published_size=64,
    published_millions=None,
    parameters=486_553,
    source="U-Net at a quarter of the width",
    width=8,
)
register(
    name="unetpp",
    module="tutseg.nets.unet_plus_plus",
    paper="DALE",
    stride=16,
    published_size=256,
    published_millions=9.04,
    parameters=9_045_924,
    source="Zhou 2018, with four heads",
    gives=("encode", "decoded", "aux1", "aux2", "aux3"),
)
register(
    name="unetpp-s",
    module="tutseg.nets.unet_plus_plus",
    paper="lab profile",
    stride=16,
    published_size=64,
    published_millions=None,
    parameters=567_084,
    source="U-Net++ at a quarter of the width",
    gives=("encode", "decoded", "aux1", "aux2", "aux3"),
    width=8,
)
register(
    name="ege-unet",
    module="tutseg.nets.ege_unet",
    paper="DALE",
    stride=32,
    published_size=256,
    published_millions=0.053,
    parameters=53_374,
    source="Ruan 2023",
    gives=("encode", "decoded", "aux1", "aux2", "aux3", "aux4", "aux5"),
)
register(
    name="emcad",
    module="tutseg.nets.emcad",
    paper="DALE",
    stride=32,
    published_size=224,
    published_millions=26.76,
    parameters=26_764_399,
    source="Rahman 2024; timm PVTv2-B2",
    gives=("encode", "decoded", "aux1", "aux2", "aux3"),
)
register(
    name="emcad-s",
    module="tutseg.nets.emcad",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=637_871,
    source="EMCAD on a quarter of PVTv2-B2's width, one block a stage",
    gives=("encode", "decoded", "aux1", "aux2", "aux3"),
    encoder="pvt_v2_b0",
    embed_dims=(16, 32, 80, 128),
    depths=(1, 1, 1, 1),
    num_heads=(1, 2, 5, 8),
)
register(
    name="swin-umamba",
    module="tutseg.nets.swin_umamba",
    paper="DALE",
    stride=32,
    published_size=224,
    published_millions=59.89,
    parameters=59_885_620,
    source="Liu 2024; VMamba-T, the scan in plain PyTorch",
    gives=("encode", "decoded", "aux1", "aux2", "aux3"),
)
register(
    name="swin-umamba-s",
    module="tutseg.nets.swin_umamba",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=1_727_756,
    source="Swin-UMamba at a sixth of the width, 4 states in the place of 16",
    gives=("encode", "decoded", "aux1", "aux2", "aux3"),
    channels=(8, 16, 32, 64, 128),
    states=4,
)
register(
    name="att-unet",
    module="tutseg.nets.att_unet",
    paper="SSGNet",
    stride=16,
    published_size=256,
    published_millions=None,
    parameters=31_389_165,
    source="Oktay 2018, gates at the skips' size",
)
register(
    name="att-unet-s",
    module="tutseg.nets.att_unet",
    paper="lab profile",
    stride=16,
    published_size=64,
    published_millions=None,
    parameters=492_425,
    source="Attention U-Net at an eighth of the width",
    width=8,
)
register(
    name="malunet",
    module="tutseg.nets.malunet",
    paper="SSGNet",
    stride=32,
    published_size=256,
    published_millions=0.178,
    parameters=177_943,
    source="Ruan 2022",
)
register(
    name="vm-unet",
    module="tutseg.nets.vm_unet",
    paper="SSGNet",
    stride=32,
    published_size=256,
    published_millions=27.43,
    parameters=27_427_561,
    source="Ruan 2024; the scan in plain PyTorch",
)
register(
    name="vm-unet-s",
    module="tutseg.nets.vm_unet",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=1_761_595,
    source="VM-UNet at a quarter of the width, 4 states in the place of 16",
    embed=24,
    states=4,
)
register(
    name="vm-unetpp",
    module="tutseg.nets.vm_unet_plus_plus",
    paper="SSGNet",
    stride=32,
    published_size=256,
    published_millions=None,
    parameters=18_537_097,
    source="a reconstruction: nobody publishes its code; VM-UNet's encoder, U-Net++'s skips",
)
register(
    name="vm-unetpp-s",
    module="tutseg.nets.vm_unet_plus_plus",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=1_193_059,
    source="VM-UNet++ (a reconstruction) at a quarter of the width, 4 states in the place of 16",
    embed=24,
    states=4,
)
register(
    name="medformer",
    module="tutseg.nets.medformer",
    paper="SSGNet",
    stride=16,
    published_size=256,
    published_millions=19.19,
    parameters=19_160_897,
    source="Gao 2022; SSGNet's UTNetV2",
)
register(
    name="medformer-s",
    module="tutseg.nets.medformer",
    paper="lab profile",
    stride=16,
    published_size=64,
    published_millions=None,
    parameters=718_801,
    source="MedFormer at a quarter of the width, one block a level",
    base=8,
    depth=1,
    fusion=64,
    fusion_heads=4,
)
register(
    name="swin-unet",
    module="tutseg.nets.swin_unet",
    paper="DME-FD",
    stride=32,
    published_size=224,
    published_millions=41.38,
    parameters=41_380_068,
    source="DME-FD's code; timm Swin-T",
    weights="swin-tiny",
    depths=(2, 2, 6, 2),
)
register(
    name="swin-unet-t",
    module="tutseg.nets.swin_unet",
    paper="Swin-Unet",
    stride=32,
    published_size=224,
    published_millions=27.17,
    parameters=27_168_132,
    source="Cao 2021; timm Swin-T",
    weights="swin-tiny",
    depths=(2, 2, 2, 2),
)
register(
    name="swin-unet-s",
    module="tutseg.nets.swin_unet",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=3_033_100,
    source="Swin-Unet at a third of the width",
    embed=32,
    depths=(2, 2, 2, 2),
    heads=(1, 2, 4, 8),
    window=4,
)
register(
    name="convformer",
    module="tutseg.nets.convformer",
    paper="DALE",
    stride=8,
    published_size=256,
    published_millions=115.61,
    parameters=115_609_889,
    source="Lin 2023, in SETR",
)
register(
    name="convformer-s",
    module="tutseg.nets.convformer",
    paper="lab profile",
    stride=8,
    published_size=96,
    published_millions=None,
    parameters=480_933,
    source="ConvFormer at an eighth of the width, 3 blocks",
    width=64,
    depth=3,
    heads=4,
)
register(
    name="transfuse",
    module="tutseg.nets.transfuse",
    paper="DALE",
    stride=16,
    published_size=224,
    published_millions=26.25,
    parameters=26_249_877,
    source="Zhang 2021, size S; timm ResNet-34 and DeiT-S",
    gives=("encode", "decoded", "aux1", "aux2"),
)
register(
    name="transfuse-s",
    module="tutseg.nets.transfuse",
    paper="lab profile",
    stride=16,
    published_size=96,
    published_millions=None,
    parameters=1_277_277,
    source="TransFuse at a quarter of the width, half the depth",
    gives=("encode", "decoded", "aux1", "aux2"),
    channels=(16, 32, 64, 128),
    embed=96,
    depth=4,
    heads=3,
)
register(
    name="xboundformer",
    module="tutseg.nets.xboundformer",
    paper="DALE",
    stride=32,
    published_size=352,
    published_millions=30.64,
    parameters=30_641_287,
    source="Wang 2023, one layer a learner; timm PVTv2-B2",
    gives=("encode", "decoded", "aux1", "aux2", "aux3", "edge8", "edge16", "edge32"),
)
register(
    name="xboundformer-s",
    module="tutseg.nets.xboundformer",
    paper="lab profile",
    stride=32,
    published_size=96,
    published_millions=None,
    parameters=714_407,
    source="XBound-Former at a quarter of the width, one block a stage",
    gives=("encode", "decoded", "aux1", "aux2", "aux3", "edge8", "edge16", "edge32"),
    encoder="pvt_v2_b0",
    embed_dims=(16, 32, 80, 128),
    depths=(1, 1, 1, 1),
    num_heads=(1, 2, 5, 8),
    channels=32,
    heads=4,
    feed=128,
)
register(
    name="languide",
    module="tutseg.nets.languide",
    paper="DALE",
    stride=32,
    published_size=224,
    published_millions=None,
    parameters=42_176_545,
    source="Zhong 2023; timm ConvNeXt-T; a stand-in for the text encoder, one caption for all pictures",
)
register(
    name="languide-s",
    module="tutseg.nets.languide",
    paper="lab profile",
    stride=32,
    published_size=96,
    published_millions=None,
    parameters=1_547_801,
    source="LanGuide at a quarter of the width, a third of the depth; its stand-in for texts",
    dims=(24, 48, 96, 192),
    depths=(1, 1, 3, 1),
    last=8,
    text_width=96,
)
register(
    name="transunet",
    module="tutseg.nets.transunet",
    paper="SSGNet",
    stride=16,
    published_size=224,
    published_millions=105.28,
    parameters=105_275_921,
    source="Chen 2021, ResNet-50 and ViT-B/16",
)
register(
    name="transunet-s",
    module="tutseg.nets.transunet",
    paper="lab profile",
    stride=16,
    published_size=96,
    published_millions=None,
    parameters=619_833,
    source="TransUNet at an eighth of the width, a third of the depth",
    layers=(1, 1, 1),
    channels=(32, 64, 128),
    groups=8,
    stem=16,
    embed=96,
    depth=4,
    heads=3,
    ascent=(64, 32, 16, 16, 8),
)
register(
    name="sanet",
    module="tutseg.nets.sanet",
    paper="SSGNet",
    stride=32,
    published_size=352,
    published_millions=23.9,
    parameters=23_899_497,
    source="Wei 2021; timm Res2Net-50d",
)
register(
    name="sanet-s",
    module="tutseg.nets.sanet",
    paper="lab profile",
    stride=32,
    published_size=96,
    published_millions=None,
    parameters=503_170,
    source="SANet at a quarter of the width, one block a stage",
    width=16,
    layers=(1, 1, 1, 1),
    channels=(16, 32, 64, 128),
    stem_width=8,
)
register(
    name="resnet50",
    module="tutseg.nets.resnet50",
    paper="SSGNet",
    stride=32,
    published_size=224,
    published_millions=25.56,
    parameters=25_557_032,
    source="He 2016, timm; a thousand classes",
    gives=("classify",),
)
register(
    name="lite0-classifier",
    module="tutseg.nets.lite0_classifier",
    paper="none",
    stride=32,
    published_size=224,
    published_millions=4.65,
    parameters=4_652_008,
    source="timm tf_efficientnet_lite0; a thousand classes",
    weights="efficientnet-lite0",
    gives=("classify",),
)
register(
    name="sam-s",
    module="tutseg.nets.sam",
    paper="lab profile",
    stride=8,
    published_size=96,
    published_millions=None,
    parameters=572_200,
    source="Segment Anything's modules, a small ViT",
    weights="sam-s",
    gives=("prompt", "masks", "iou"),
    variant="sam-s",
)
register(
    name="sam-b",
    module="tutseg.nets.sam",
    paper="SAM-KD",
    stride=16,
    published_size=1024,
    published_millions=None,
    parameters=93_735_472,
    source="Segment Anything, ViT-B",
    weights="sam-b",
    gives=("prompt", "masks", "iou"),
    variant="sam-b",
)
register(
    name="sam-l",
    module="tutseg.nets.sam",
    paper="none",
    stride=16,
    published_size=1024,
    published_millions=None,
    parameters=312_342_832,
    source="Segment Anything, ViT-L",
    weights="sam-l",
    gives=("prompt", "masks", "iou"),
    variant="sam-l",
)
register(
    name="sam-h",
    module="tutseg.nets.sam",
    paper="none",
    stride=16,
    published_size=1024,
    published_millions=None,
    parameters=641_090_608,
    source="Segment Anything, ViT-H",
    weights="sam-h",
    gives=("prompt", "masks", "iou"),
    variant="sam-h",
)
register(
    name="mobile-sam",
    module="tutseg.nets.mobile_sam",
    paper="none",
    stride=16,
    published_size=1024,
    published_millions=None,
    parameters=9_808_452,
    source="MobileSAM, TinyViT; 9.66 M by its README, and 0.32 M of a classifier in its file",
    weights="mobile-sam",
    gives=("prompt", "masks", "iou"),
)
register(
    name="stylegan3-s",
    module="tutseg.nets.stylegan3",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=65_811,
    source="StyleGAN3-T with six filtered layers of 32 channels; its input stays where it is",
    gives=("draw",),
    layers=6,
    base=1024,
    width=32,
    latent=64,
    learned=False,
    half_life=500.0,
)
register(
    name="stylegan3-m",
    module="tutseg.nets.stylegan3",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=282_985,
    source="StyleGAN3-T with eight filtered layers of 64 channels; its input stays where it is",
    gives=("draw",),
    layers=8,
    base=2048,
    width=64,
    latent=64,
    learned=False,
    half_life=500.0,
)
register(
    name="stylegan3-t",
    module="tutseg.nets.stylegan3",
    paper="SSGNet",
    stride=32,
    published_size=256,
    published_millions=None,
    parameters=28_472_133,
    source="Karras 2021, configuration T; its discriminator has 28,864,129",
    gives=("draw",),
)
