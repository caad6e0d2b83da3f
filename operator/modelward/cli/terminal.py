"""What may be written to a terminal: names and sentences come from objects that others write, and nothing in them may steer it."""


def clean(text: str) -> str:
    """On one line, without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def clean_lines(text: str) -> str:
    """As `clean`, for text that may have several lines."""
    return "\n".join(map(clean, text.split("\n")))
