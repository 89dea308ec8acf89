"""Data sets that RTMO is trained and validated on, and where their files come from.

Addresses are those of the data sets' own pages and of mmpose (docs/en/dataset_zoo/2d_body_keypoint.md), whose
conversions to COCO's format conf/source reads. SHA-256 and sizes of COCO and MPII are those of TensorFlow Datasets
(tensorflow_datasets/url_checksums/coco.txt and mpii_human_pose.txt); of other archives none is published.
"""

from typing import NamedTuple

_COCO = "http://images.cocodataset.org"
_MPII = "https://datasets.d2.mpi-inf.mpg.de/andriluka14cvpr"
_JHMDB = "http://files.is.tue.mpg.de/jhmdb"
_OPENMMLAB = "https://download.openmmlab.com/mmpose/datasets"


class Archive(NamedTuple):
    """A file to download and unpack.

    Attributes:
        provides: What is there afterwards, files and folders below the set's folder.
        into: Folder below the set's folder where its content belongs.
        members: Only files whose name is of this pattern.
        flat: Without the folders of the archive, which mmpose's have in one version and lack in another.
        sha256: None where nobody has published one.
        size: Bytes; 0 where nobody has published them.
    """

    url: str
    provides: tuple[str, ...]
    into: str = "."
    members: str = "*"
    flat: bool = False
    sha256: str | None = None
    size: int = 0


class ByHand(NamedTuple):
    """What nobody but the user may download, or no program can.

    Attributes:
        provides: What has to be there afterwards, below the folder of all data sets.
        steps: What to do, one step a line.
    """

    provides: tuple[str, ...]
    steps: str


class DataSet(NamedTuple):
    """A data set.

    Attributes:
        folder: Below the folder of all data sets.
        licence: In brief; the page of the data set has the whole text.
    """

    name: str
    folder: str
    page: str
    licence: str
    archives: tuple[Archive, ...] = ()
    by_hand: tuple[ByHand, ...] = ()


def _converted(name: str, members: str, *files: str) -> Archive:
    """Mmpose's conversion of annotations, a tar of JSON files."""
    provides = tuple(f"annotations/{file}" for file in files)
    return Archive(f"{_OPENMMLAB}/{name}_annotations.tar", provides, "annotations", members, flat=True)


SETS = {entry.name: entry for entry in (
    DataSet(
        "coco", "coco", "https://cocodataset.org", "annotations CC BY 4.0, images under Flickr's terms of use",
        archives=(
            Archive(f"{_COCO}/annotations/annotations_trainval2017.zip",
                    tuple(f"annotations/person_keypoints_{part}2017.json" for part in ("train", "val")),
                    members="person_keypoints_*.json", size=252_907_541,
                    sha256="113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268"),
            Archive(f"{_COCO}/zips/val2017.zip", ("val2017",), size=815_585_330,
                    sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"),
            Archive(f"{_COCO}/zips/train2017.zip", ("train2017",), size=19_336_861_798,
                    sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929"),
        ),
    ),
    DataSet(
        "coco_test", "coco", "https://cocodataset.org", "images under Flickr's terms of use",
        archives=(
            Archive(f"{_COCO}/annotations/image_info_test2017.zip", ("annotations/image_info_test-dev2017.json",),
                    members="image_info_test-dev2017.json", size=1_144_034,
                    sha256="e52f412dd7195ac8f98d782b44c6dd30ea10241e9f42521f67610fbe055a74f8"),
            Archive(f"{_COCO}/zips/test2017.zip", ("test2017",), size=6_646_970_404,
                    sha256="c7908c3c9f94ba2f3340ebbeec58c25db6be8774f18d68c2f15d0e369d95baba"),
        ),
    ),
    DataSet(
        "crowdpose", "crowdpose", "https://github.com/Jeff-sjtu/CrowdPose", "its page names none",
        archives=(
            _converted("crowdpose", "mmpose_crowdpose_*.json",
                       *(f"mmpose_crowdpose_{part}.json" for part in ("train", "val", "trainval", "test"))),
        ),
        by_hand=(ByHand(("crowdpose/images",), """\
download the images from https://drive.google.com/file/d/1VprytECcLtU4tKP32SYi_7oDRbw7yUTL (a browser: Google asks)
unpack them to {data_dir}/crowdpose, so that there is {data_dir}/crowdpose/images/100000.jpg"""),),
    ),
    DataSet(
        "aic", "aic", "https://github.com/AIChallenger/AI_Challenger_2017", "see its page",
        archives=(_converted("aic", "aic_*.json", "aic_train.json", "aic_val.json"),),
        by_hand=(ByHand((
            "aic/ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902",
            "aic/ai_challenger_keypoint_validation_20170911/keypoint_validation_images_20170911",
        ), """\
get the human keypoint images: the page names the sources that are left; OpenDataLab has AI_Challenger.tar.gz with all
  of them for those who register: openxlab dataset download --dataset-repo OpenDataLab/AI_Challenger
unpack them to {data_dir}/aic, so that there is {data_dir}/aic/ai_challenger_keypoint_train_20170902
annotations of AI Challenger itself, in place of mmpose's: python -m rtmo.data convert from=aic ..."""),),
    ),
    DataSet(
        "mpii", "mpii", "http://human-pose.mpi-inf.mpg.de", "simplified BSD",
        archives=(
            _converted("mpii", "mpii_*.json", "mpii_train.json", "mpii_val.json", "mpii_trainval.json"),
            Archive(f"{_MPII}/mpii_human_pose_v1.tar.gz", ("images",), size=12_088_943_206,
                    sha256="6d26fbf89f49a7aeff4aa5f98123763f334693806b98eb15630f57a0b50998ce"),
        ),
    ),
    DataSet(
        "jhmdb", "jhmdb", "http://jhmdb.is.tue.mpg.de", "see its page, which may ask to register",
        archives=(
            _converted("jhmdb", "Sub*.json",
                       *(f"Sub{split}_{part}.json" for split in "123" for part in ("train", "test"))),
            Archive(f"{_JHMDB}/Rename_Images.tar.gz", ("Rename_Images",)),
        ),
    ),
    DataSet(
        "halpe", "halpe", "https://github.com/Fang-Haoshu/Halpe-FullBody", "see its page, HICO-DET's and COCO's",
        by_hand=(
            ByHand(("halpe/annotations/halpe_train_v1.json", "halpe/annotations/halpe_val_v1.json"), """\
download the annotations to {data_dir}/halpe/annotations (a browser: Google asks)
  halpe_train_v1.json: https://drive.google.com/file/d/13vj8H0GZ9yugLPhVVWV9fcH-3RyW5Wk5
  halpe_val_v1.json: https://drive.google.com/file/d/1FdyCgro2t9_nOhTlMPjEf3c0aLOz9wi6"""),
            ByHand(("halpe/hico_20160224_det/images/train2015",), """\
download HICO-DET from https://drive.google.com/open?id=1QZcJmGVlF9f4h-XLWe9Gkmnmj2z1gSnk
unpack it to {data_dir}/halpe, so that there is {data_dir}/halpe/hico_20160224_det/images/train2015"""),
            ByHand(("coco/val2017",), "python -m rtmo.data get coco: Halpe is validated on COCO's val2017"),
        ),
    ),
    DataSet(
        "posetrack18", "posetrack18", "https://posetrack.net", "see its page",
        archives=(_converted("posetrack18", "posetrack18_*.json", "posetrack18_train.json", "posetrack18_val.json"),),
        by_hand=(ByHand(("posetrack18/images/train", "posetrack18/images/val"), """\
register at https://posetrack.net/users/download.php and download posetrack18_images.tar.aa to .ar
unpack them to {data_dir}/posetrack18: cat posetrack18_images.tar.a* | tar -x -C {data_dir}/posetrack18
annotations of PoseTrack itself, in place of mmpose's: python -m rtmo.data convert from=posetrack18 ..."""),),
    ),
    DataSet(
        "ochuman", "ochuman", "https://github.com/liruilong940607/OCHumanApi", "see its page; it asks for a form",
        by_hand=(ByHand((
            *(f"ochuman/annotations/ochuman_coco_format_{part}_range_0.00_1.00.json" for part in ("val", "test")),
            "ochuman/images",
        ), """\
fill in https://cg.cs.tsinghua.edu.cn/dataset/form.html?dataset=ochuman
put ochuman_coco_format_{{val,test}}_range_0.00_1.00.json into {data_dir}/ochuman/annotations
unpack the images (667 MB) to {data_dir}/ochuman, so that there is {data_dir}/ochuman/images/000001.jpg"""),),
    ),
    DataSet(
        "humanart", "HumanArt", "https://idea-research.github.io/HumanArt", "non-commercial; it asks for a form",
        by_hand=(ByHand(("HumanArt/annotations/validation_humanart.json", "HumanArt/images"), """\
fill in https://forms.gle/UVv1GiNJNQsE4qif7: the links come by e-mail
put validation_humanart.json into {data_dir}/HumanArt/annotations
unpack the images, so that there are {data_dir}/HumanArt/images/2D_virtual_human, 3D_virtual_human and real_human"""),),
    ),
)}  # fmt: skip
