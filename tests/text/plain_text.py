"""Marked-up text back as it was written, to compare."""

from text.markup import Break, Pause, TextSpan


def to_plain_text(segments):
    """The text as it was written, without markup; an empty line between paragraphs."""
    pieces = []
    for segment in segments:
        if isinstance(segment, TextSpan):
            pieces.append(segment.text)
        elif segment == Break("paragraph"):
            pieces.append("\n\n")
        elif isinstance(segment, (Pause, Break)) and pieces and not pieces[-1][-1:].isspace():
            pieces.append(" ")
    return "".join(pieces).strip()
