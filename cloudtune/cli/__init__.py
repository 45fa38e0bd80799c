"""The command line: parses arguments, calls the API, prints. Commands are imported when used."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code.

    0: done. 1: the study or the command is wrong, or the ledger is damaged. 2: a provider cannot
    express the study, or a conversion would lose something. 3: a provider failed, or too many
    trials did, or an expression misread their numbers. 4: no completed trial measured the
    objective. 130: interrupted.
    """
    import gc

    gc.disable()  # for a quick start
    _write_all_characters()
    import click

    from cloudtune.cli.main_group import cloudtune
    from cloudtune.errors import (
        CloudtuneError,
        ConversionError,
        ProviderError,
        UnsupportedError,
    )

    try:
        code = cloudtune.main(args, prog_name="cloudtune", standalone_mode=False)
    except click.ClickException as error:
        from cloudtune.cli.messages import echo_message

        shown = io.StringIO()
        error.show(shown)
        echo_message(shown.getvalue().rstrip(), err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        code = 130
        if (args or sys.argv[1:])[:1] == ["run"] and "cloudtune.cli.runs" not in sys.modules:
            from cloudtune.cli.messages import NOTHING_STARTED

            click.echo(NOTHING_STARTED, err=True)
    except CloudtuneError as error:
        from cloudtune.cli.messages import echo_error
        from cloudtune.formats.secrets import hide_credentials
        from cloudtune.reporting.sanitize import sanitize_lines

        echo_error(sanitize_lines(hide_credentials(str(error))))
        code = 3 if isinstance(error, ProviderError) else 1
        code = 2 if isinstance(error, UnsupportedError | ConversionError) else code
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        from cloudtune.common.host_errors import describe_host_error

        text = describe_host_error(error)
        if text is None:
            if not isinstance(error, OSError):
                raise
            file = f"{error.filename}: " if error.filename else ""
            text = f"{file}{error.strerror or error}"
        from cloudtune.cli.messages import echo_error

        echo_error(text)
        code = 1
    finally:
        if "cloudtune.ledger.home" in sys.modules:
            from cloudtune.ledger.outputs import record_outputs

            record_outputs()
        gc.freeze()  # skips a last collection at exit
    sys.exit(code if isinstance(code, int) else 0)


def _write_all_characters() -> None:
    """Write UTF-8 to files and pipes of another encoding; escape what a terminal does not have."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper) or out.encoding.lower() in ("utf-8", "utf8"):
        return
    if out.isatty():
        out.reconfigure(errors="backslashreplace")
    else:
        out.reconfigure(encoding="utf-8")
