"""Errors that a user can mend: one line that names the cause and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input. The message is one line naming the file, row or key at fault and what to do about it.

    The command line prints it without a traceback and exits with code 2.
    """


def nearest(word: str, choices: Iterable[str]) -> str:
    """Suggest the choice closest to a misspelt word.

    Args:
        word: What was given.
        choices: What would have been valid.

    Returns:
        ``"did you mean 'x'?"`` where one choice is close, else ``"choose from a, b, c"``.
    """
    names = sorted({str(choice) for choice in choices})
    match = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if not match:  # letter case alone should never hide a match
        folded = {name.lower(): name for name in names}
        match = [folded[m] for m in difflib.get_close_matches(str(word).lower(), list(folded), n=1, cutoff=0.6)]
    return f"did you mean {match[0]!r}?" if match else f"choose from {', '.join(names) or 'nothing'}"
