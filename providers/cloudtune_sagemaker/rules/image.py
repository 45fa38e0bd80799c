"""Rules of the container image: its address, its region, its content and its Python.

The emulator runs no images, so an emulated plan has no findings on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Note
from cloudtune.provider.lookup import has_code, python_misfit
from cloudtune.provider.pythons import check_python, image_version
from cloudtune_sagemaker.resources import ECR_ADDRESS
from cloudtune_sagemaker.rules.settings import REGIONS, SETTINGS, refuse
from cloudtune_sagemaker.settings import SageMakerSettings

ALGORITHMS = frozenset(
    {"blazingtext", "factorization-machines", "forecasting-deepar", "image-classification"}
    | {"ipinsights", "kmeans", "knn", "lda", "linear-learner", "ntm", "object-detection"}
    | {"object2vec", "pca", "randomcutforest", "semantic-segmentation", "seq2seq", "xgboost"}
)
"""The repositories of built-in algorithms without script mode (sagemaker SDK 3.27.0,
``image_uri_config``). Newer images of XGBoost are in ``sagemaker-xgboost``, which has it."""
FRAMEWORKS = frozenset(
    {"autogluon", "huggingface", "mxnet", "pytorch", "sklearn", "tensorflow", "xgboost"}
)
"""Names for ``framework`` (sagemaker SDK 3.27.0, ``image_uri_config``)."""
_PYTHON = re.compile(r"(?:^|-)py(\d)(\d{1,2})?(?=-|$)")
"""The Python in the tags of AWS's images, such as 2.3-cpu-py311."""


def image_rules(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings on the image of a job."""
    image: str | None = facts.data["image"]
    if facts.emulated or not image or "{{" in image or not re.fullmatch(r"\S+", image):
        return
    match = ECR_ADDRESS.fullmatch(image)
    field = "image" if settings.image else "framework"
    if match is None:
        if settings.image and "TrainingImageConfig" not in str(settings.native):
            yield refuse(field, _not_ecr(image))
        elif has_code(fitted.study):
            yield from _named_python(field, image, facts)
        return
    region: str = facts.data["region"]
    if match["region"] != region and region in REGIONS:
        yield refuse(
            field,
            f"the image is in {match['region']} and the jobs run in {region}, and SageMaker pulls "
            f"images only from its own region: copy it to {region}; AWS's own images have other "
            "accounts in some regions, which framework looks up",
        )
    if has_code(fitted.study):
        yield from _no_script(field, match, facts)
        yield from _other_python(field, image, match["tag"] or "", facts)


def _not_ecr(image: str) -> str:
    name = image.partition(":")[0]
    hint = f"; for AWS's image, set framework: {{name: {name}, ...}}" if name in FRAMEWORKS else ""
    return (
        "must be an address in Amazon ECR, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/"
        f"train:1{hint}; another registry needs TrainingImageConfig in native"
    )


def _no_script(field: str, match: re.Match[str], facts: Facts) -> Iterator[Finding]:
    name = match["name"]
    if match["account"] == facts.data["account"]:
        return
    if name in ALGORITHMS:
        yield refuse(
            field,
            f"AWS's image {name} contains a built-in algorithm and runs no script: choose an image "
            "of a framework, or remove script, module or command",
        )
    elif name.endswith("-inference"):
        training = f"{name.removesuffix('inference')}training"
        yield refuse(field, f"{name} is an image for inference: the one for training is {training}")


def _named_python(field: str, image: str, facts: Facts) -> Iterator[Finding | Note]:
    version = image_version(image)
    return check_python(facts, f"{SETTINGS}.{field}", f"the Python of {image}", version)


def _other_python(field: str, image: str, tag: str, facts: Facts) -> Iterator[Finding | Note]:
    python = _PYTHON.search(tag)
    if python is None or not (python[2] or int(python[1]) < 3):
        yield from _named_python(field, image, facts)
        return
    version = f"{python[1]}.{python[2]}" if python[2] else python[1]
    if misfit := python_misfit(facts, version):
        yield refuse(
            field,
            f"the image has Python {version}, and {misfit}: choose an image whose tag has such a "
            "version, as in py310",
        )
