"""Writing the page where it may be written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seisml.errors import UserError, shown
from seisml.files import write_text
from seisml.report.compose import ReportOptions, compose
from seisml.report.page import GENERATOR, Page, render

MARK = f'<meta name="generator" content="{GENERATOR} '
HEAD = 4_000  # characters of a page in which the mark stands


def write_report(folders: Sequence[Path], out: Path, options: ReportOptions) -> Page:
    """Read folders and write the page about them.

    Args:
        folders: Of runs, multiruns, comparisons, predictions.
        out: The page's file; a page that was written here before is replaced, any other file is not.
        options: See there.

    Returns:
        What the page says.

    Raises:
        UserError: Bad input, or the file is somebody else's.
    """
    refuse_other(out)
    page = compose(folders, options)
    write_text(out, render(page))
    return page


def refuse_other(out: Path) -> None:
    """Refuse to replace what is not a page of ours.

    Raises:
        UserError: There is another file, or a folder.
    """
    if not out.exists():
        return
    if out.is_dir():
        raise UserError(f"--out {shown(out)}: is a folder; name a file, {shown(out / 'report.html')}")
    with open(out, encoding="utf-8", errors="replace") as file:
        if MARK not in file.read(HEAD):
            raise UserError(f"--out {shown(out)}: is there already and not a page of seisml report; name another file")
