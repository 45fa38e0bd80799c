"""``python -m cloudtune`` is ``cloudtune``."""

from cloudtune.cli import main

main()
