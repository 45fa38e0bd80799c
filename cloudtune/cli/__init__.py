"""The command line: thin. Parse, call, print; each command's module is imported when it is used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code.

    0 done; 1 the study or the command is wrong; 2 a provider cannot express it; 3 a provider failed
    or too many trials did; 4 the objective was never measured; 130 interrupted.
    """
    import gc

    gc.disable()
    import click

    from cloudtune.cli.main_group import cloudtune
    from cloudtune.errors import CloudtuneError

    try:
        code = cloudtune.main(args, prog_name="cloudtune", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = 1
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except CloudtuneError as error:
        from cloudtune.reporting.sanitize import sanitize_lines

        click.echo(sanitize_lines(str(error)), err=True)
        code = _code(error)
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"{place}{error.strerror or error}", err=True)
        code = 1
    finally:
        gc.freeze()  # what is left need not be looked through once more at the end
    sys.exit(code if isinstance(code, int) else 0)


def _code(error: Exception) -> int:
    from cloudtune.errors import ProviderError, UnsupportedError

    if isinstance(error, UnsupportedError):
        return 2
    return 3 if isinstance(error, ProviderError) else 1
