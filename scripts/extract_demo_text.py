"""Write the text that ``tinker-lite demo`` trains on: the First Book of Samuel, King James Version.

    python -m scripts.extract_demo_text [--output FILE]

The source is Debian's package ``bible-kjv`` (``apt-get install bible-kjv``), whose command
``bible`` prints verses. The translation of 1611 is in the public domain.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_OUTPUT = ROOT / "tinker_lite" / "cli" / "data" / "first_samuel.txt"

BOOK = "1Samuel1:1-31:13"
VERSE = re.compile(r"1Sm(?P<chapter>\d+):\d+ (?P<text>.+)")


def verse_lines() -> list[str]:
    """One line per verse, each behind its place in the book."""
    # -f turns the pretty-printing, which is on by default, off.
    done = subprocess.run(["bible", "-f", BOOK], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def plain_text(lines: list[str]) -> Iterator[str]:
    """The verses without their numbers, one a line, with an empty line between chapters."""
    chapter = "1"
    for line in lines:
        found = VERSE.fullmatch(line.rstrip())
        if found is None:
            message = f"not a verse of the book: {line!r}"
            raise ValueError(message)
        if found["chapter"] != chapter:
            chapter = found["chapter"]
            yield ""
        yield found["text"]


def main() -> None:
    """Extract the text and say how much it is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    output: Path = parser.parse_args().output
    text = "\n".join(plain_text(verse_lines())) + "\n"
    output.write_text(text, encoding="ascii")
    print(f"{output}: {len(text)} bytes")


if __name__ == "__main__":
    main()
