"""The text that the English base model is pretrained on: where it comes from and how it is cleaned.

Every source is a file of a Debian package, so that the corpus can be made again on any Debian
machine with ``apt-get download``: out-of-copyright books that packages carry as sample data, and
a smaller part of documentation prose. Nothing here knows about the model.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import html
import re
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

END_OF_TEXT = "\0"
MIN_PARAGRAPH_CHARS = 80  # shorter ones count if they end like a sentence
MIN_PROSE_SHARE = 0.95  # letters, spaces and plain punctuation; tables and code fall below it
FORBIDDEN_RUN_WORDS = 6  # a run this long shared with a forbidden text drops the paragraph
HELD_OUT_OF_256 = 8  # documents

_ASCII = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "--",
    "\u2026": "...", "\u00e6": "ae", "\u00e8": "e", "\u00e9": "e", "\u00ea": "e", "\u00a0": " ",
    "_": "",
})  # fmt: skip
_CHAPTER = re.compile(
    r"(chapter|volume|book|part|letter|adventure|experiment|obs|prop|query|section|article)\b"
    r"|[ivxl]+\.(\s|$)",
    re.IGNORECASE,
)
_PROSE = re.compile(r"[A-Za-z ,.;:'\"!?()\-]")
_R_STRING = re.compile(rb"\x00[\x00\x04][\x00\x80]\x09(?=\x00)")


@dataclass(frozen=True)
class Source:
    """Files of one Debian package, and the function that reads text out of one of them."""

    package: str
    pattern: str
    read: Callable[[Path], Iterator[str]]


def read_plain(path: Path) -> Iterator[str]:
    """Yield the text of a plain or gzipped file, as one document."""
    raw = path.read_bytes()
    if path.suffix in {".gz", ".dz"}:
        raw = gzip.decompress(raw)
    yield raw.decode("utf-8", "replace")


def read_r_strings(path: Path) -> Iterator[str]:
    """Yield the strings of each compressed object in an R lazy-load data file.

    An object is a 4-byte length and a zlib or bzip2 stream; in it each string is a flags word
    (type 9), a 4-byte length and its bytes (R Internals, "Serialization Formats").
    """
    rest = path.read_bytes()
    while rest:
        is_bzip2 = rest[4:5] == b"2"
        stream = bz2.BZ2Decompressor() if is_bzip2 else zlib.decompressobj()
        raw = stream.decompress(rest[5 if is_bzip2 else 4 :])
        rest = stream.unused_data
        yield "\n".join(_r_strings(raw))


def _r_strings(raw: bytes) -> Iterator[str]:
    end = 0
    for match in _R_STRING.finditer(raw):
        if match.start() < end:
            continue
        start = match.end() + 4
        end = start + int.from_bytes(raw[match.end() : start], "big")
        yield raw[start:end].decode("utf-8", "replace")


def read_html_paragraphs(path: Path) -> Iterator[str]:
    """Yield the text of the ``<p>`` elements of a page, as one document."""
    page = path.read_text("utf-8", "replace")
    paragraphs = re.findall(r"<p(?:\s[^>]*)?>(.*?)</p>", page, re.DOTALL)
    yield "\n\n".join(html.unescape(re.sub(r"<[^>]+>", "", text)) for text in paragraphs)


SOURCES = (
    # The six novels of Jane Austen.
    Source("r-cran-janeaustenr", "**/janeaustenr/data/Rdata.rdb", read_r_strings),
    # Herman Melville, Moby Dick.
    Source("r-cran-tokenizers", "**/tokenizers/data/Rdata.rdb", read_r_strings),
    # Arthur Conan Doyle, The Adventures of Sherlock Holmes; Mark Twain, Tom Sawyer.
    Source("golang-github-pierrec-lz4-dev", "**/testdata/pg1661.txt", read_plain),
    Source("golang-github-pierrec-lz4-dev", "**/testdata/Mark.Twain-Tom.Sawyer.txt", read_plain),
    # Isaac Newton, Opticks.
    Source("golang-1.19-src", "**/testdata/Isaac.Newton-Opticks.txt", read_plain),
    # Ambrose Bierce, The Devil's Dictionary.
    Source("dict-devil", "**/devil.dict.dz", read_plain),
    # The constitution and the declaration of independence of the United States.
    Source("miscfiles", "**/state/us-*.gz", read_plain),
    # Documentation prose (PSF licence): tutorial, how-tos, questions and answers.
    Source("python3.11-doc", "**/html/tutorial/*.html", read_html_paragraphs),
    Source("python3.11-doc", "**/html/howto/*.html", read_html_paragraphs),
    Source("python3.11-doc", "**/html/faq/*.html", read_html_paragraphs),
    # Licence texts, of any Debian machine.
    Source("base-files", "**/common-licenses/GPL-3", read_plain),
    Source("base-files", "**/common-licenses/GFDL-1.3", read_plain),
)


def fetch_packages(folder: Path) -> None:
    """Download the source packages with apt and unpack each into ``folder/<package>``."""
    for package in sorted({source.package for source in SOURCES}):
        target = folder / package
        if target.exists():
            continue
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, package], cwd=folder, check=True)


def clean_paragraph(text: str) -> str:
    """Return the paragraph on one line in ASCII, or "" if it is not readable prose."""
    line = " ".join(text.translate(_ASCII).split())
    if len(line) < MIN_PARAGRAPH_CHARS and not line.endswith((".", "!", "?", '"', "'")):
        return ""
    prose_share = len(_PROSE.findall(line)) / max(len(line), 1)
    if prose_share < MIN_PROSE_SHARE or not line.isascii() or "gutenberg" in line.lower():
        return ""
    return line


def documents_of(text: str) -> Iterator[list[str]]:
    """Split a text into documents at chapter headings; each is a list of clean paragraphs."""
    text = text.replace("\r\n", "\n")
    if "*** START OF TH" in text:
        text = text.split("*** START OF TH", 1)[1].split("*** END OF TH", 1)[0]
    document: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text):
        if len(block) < MIN_PARAGRAPH_CHARS and _CHAPTER.match(block.strip()):
            yield document
            document = []
        elif line := clean_paragraph(block):
            document.append(line)
    yield document


def word_runs(text: str) -> set[int]:
    """Hash every run of ``FORBIDDEN_RUN_WORDS`` words of a text, ignoring case and punctuation."""
    words = re.findall(r"[a-z]+", text.lower())
    n_runs = len(words) - FORBIDDEN_RUN_WORDS + 1
    return {hash(tuple(words[i : i + FORBIDDEN_RUN_WORDS])) for i in range(n_runs)}


def build_corpus(folder: Path, forbidden: str) -> tuple[bytes, bytes, int]:
    """Make the corpus.

    Args:
        folder: Where the packages are unpacked (see ``fetch_packages``).
        forbidden: A text the corpus must not contain; a paragraph that shares a run of
            ``FORBIDDEN_RUN_WORDS`` words with it is left out.

    Returns:
        The training text, the held-out text (``HELD_OUT_OF_256`` of 256 documents), and the number
        of paragraphs left out for the forbidden text.
    """
    forbidden_runs = word_runs(forbidden)
    parts: tuple[list[str], list[str]] = ([], [])
    n_dropped = 0
    for source in SOURCES:
        for path in sorted((folder / source.package).glob(source.pattern)):
            for document in (d for text in source.read(path) for d in documents_of(text)):
                kept = [p for p in document if forbidden_runs.isdisjoint(word_runs(p))]
                n_dropped += len(document) - len(kept)
                text = "\n\n".join(kept)
                is_held_out = hashlib.sha256(text.encode()).digest()[0] < HELD_OUT_OF_256
                if text:
                    parts[is_held_out].append(text)
    train, held_out = (END_OF_TEXT.join(part).encode("ascii") for part in parts)
    return train, held_out, n_dropped
