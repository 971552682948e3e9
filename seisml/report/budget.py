"""How many pictures a page may take."""

from __future__ import annotations


class Budget:
    """Pictures that the page may still take.

    Args:
        pictures: At first.

    Attributes:
        left: Pictures that may still be taken.
        refused: Pictures that found no place.
    """

    def __init__(self, pictures: int) -> None:
        self.left = pictures
        self.refused = 0

    def take(self) -> bool:
        """Take one, if there is one."""
        if self.left <= 0:
            self.refused += 1
            return False
        self.left -= 1
        return True
