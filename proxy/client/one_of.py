"""An argument that is one of some words.

Invariant: the words are known to whoever writes help or a shell's completions.
"""

import argparse
import difflib
from collections.abc import Mapping


class OneOf:
    """For argparse's `type`: turns a word into what it stands for. `completions` are the words to offer."""

    def __init__(self, what: str, words: Mapping[str, str]) -> None:
        self._what = what
        self._words = words
        self.completions = tuple(dict.fromkeys(words.values()))

    def __call__(self, text: str) -> str:
        found = self._words.get(text.lower())
        if found is not None:
            return found
        near = difflib.get_close_matches(text.lower(), self._words, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"it is one of {', '.join(self.completions)}"
        raise argparse.ArgumentTypeError(f'unknown {self._what} "{text}": {hint}')
