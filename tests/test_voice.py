"""The voice of docstrings, comments and messages: plain technical English, as far as a program can check it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from project import ROOT

PACKAGE = ROOT / "recorder"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted((PACKAGE / "guide").glob("*.md")),
]
DOCUMENTS.remove(
    PACKAGE / "guide" / "commands.md"
)  # generated from the help, which is checked itself
# tests/programs has programs as others write them, in which hazards are looked for.
FILES = [
    path
    for folder in ("recorder", "tests", "examples", ".github")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.parent.name != "programs"
    and path.name != Path(__file__).name  # which names the phrases
]

# Words and phrases that a reader needs two passes for, with the words to use instead.
BANNED = {
    r"otherwise": "differently; or else; if not",
    r"beside": "next to; along with; except",
    r"(?:is|are|was|were|be|been|being) said": "reported",
    r"said (?:which|what|that|how|where|why|whether)": "reports; states; shows",
    r"(?:is|are|was|were) told": "receives; knows",
    r"one'?s own|of (?:its|one's|their|his) own": "its; separate",
    r"therein|thereof|thereby|herein|hereby": "in it",
    r"as (?:it stands|they stand|things stand)": "unchanged; now",
    r"c[oa]mes? out": "gives; results in; is",
    r"(?<!there )(?:is|are|was|were) (?-i:none)(?! of)": "does not exist; there is no",
    r"another's|somebody's|whoever's": "of another",
    r"has it that|have it that": "states",
    r"whose what|what nothing can": "name the thing",
    r"lays? (?:it|them) (?:down|out)|laid (?:down|out)": "writes; restores",
    r"be it|be they|all the same": "also; anyway",
    r"without a word": "without declaration; automatically",
    r"nobody named": "undeclared; discovered",
    r"takes? as many": "the same number",
    r"wants? (?:it|them|that)": "needs",
    r"brought over|brings over": "imported",
}
# The first word of a docstring that is a fragment, or talks around its subject.
FRAGMENT = re.compile(
    r"(?:What|Whether|Which|How|Where|Whose|Whom|Those|As|Nor)\b"
    r"|(?:The|Its|Their|One|Another) \w+'s? *\.|(?:The|Its|Their) \w+\.$"
)
# The first word of a function's docstring that is not a verb.
NO_VERB = re.compile(
    r"(?:The|An?|Its|Their|Our|All|Any|Some|Every|Each|Both|Many|More|Most|Several|One|Two|No|None|It|They|There|Here"
    r"|This|These|If|Only|With|Without|In|From|By|At|On|Into|True|False|Not|Never|Always|Names|Paths|Values|Lines|Bytes"
    r"|Files|Runs|Records)\b"
)
PHRASES = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in BANNED), re.IGNORECASE)


class Prose(NamedTuple):
    """A text for people in a source file: a docstring, a comment or a message."""

    line: int
    text: str


def name_of(path: Path) -> str:
    """Return the path of a file in the repository."""
    return path.relative_to(ROOT).as_posix()


def docstrings(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.Constant]]:
    """Yield each module, class and function that has a docstring, with the docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield node, first.value


def messages(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the parts of strings that have at least three words: messages, help, warnings, but not docstrings."""
    documented = {id(constant) for _, constant in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = re.findall(r"\b[a-zA-Z]{2,}\b[ ,:;]", node.value)
            if id(node) not in documented and len(words) >= 2:
                yield node


def prose(name: str, source: str) -> Iterator[Prose]:
    """Yield the docstrings and comments of a file and, except of tests, its messages; without code in backquotes."""
    tree = ast.parse(source)
    constants = [constant for _, constant in docstrings(tree)]
    if not name.startswith("tests/"):
        constants += messages(tree)
    for constant in constants:
        yield Prose(
            constant.lineno, re.sub(r"(``?).*?\1", "", str(constant.value), flags=re.DOTALL)
        )
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Prose(token.start[0], token.string)


def faults(name: str, source: str) -> Iterator[str]:
    """Yield the faults in the texts of a file, each with its line."""
    for line, text in prose(name, source):
        for match in PHRASES.finditer(" ".join(text.split())):
            yield f"{name}:{line}: {match[0]!r}"
    tree = ast.parse(source)
    for node, constant in docstrings(tree):
        first = str(constant.value).strip().partition("\n")[0]
        if FRAGMENT.match(first):
            yield f"{name}:{constant.lineno}: a fragment: {first!r}"
        elif needs_verb(node) and not name.startswith("tests/") and NO_VERB.match(first):
            yield f"{name}:{constant.lineno}: no verb: {first!r}"
    for node in ast.walk(tree):
        raised = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(raised, ast.Call) and raised.args and end_of(raised.args[0]).endswith("."):
            yield f"{name}:{raised.lineno}: a message that ends with a period"


def end_of(message: ast.expr) -> str:
    """Return the last constant part of a string, "" if the string ends in a value."""
    last = message.values[-1] if isinstance(message, ast.JoinedStr) and message.values else message
    text = last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else ""
    return text.removesuffix("...")


def needs_verb(node: ast.AST) -> bool:
    """Return True for functions, except properties, fixtures and magic methods, which a noun may describe."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    decorators = [ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list]
    is_noun = any(name.endswith(("property", "fixture", ".setter")) for name in decorators)
    return not is_noun and not node.name.startswith("__")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_texts_of_a_file_are_plain(path: Path) -> None:
    """Docstrings begin with a verb or define a noun, messages have no period, and no text has a banned phrase."""
    name = name_of(path)
    found = list(faults(name, path.read_text()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_texts_of_a_document_are_plain(path: Path) -> None:
    """No paragraph of a document has a banned phrase; code and sessions may."""
    text = re.sub(r"^```.*?^```$|`[^`]*`", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not [match[0] for match in PHRASES.finditer(" ".join(text.split()))]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('"""What a run is."""', "a fragment"),
        ('def f():\n    """The name of a run."""', "no verb"),
        ('def f():\n    """Return a name that is none."""', "'is none'"),
        ("# The result comes out otherwise.", "'comes out'"),
        ('print("a table beside the file")', "'beside'"),
        ('raise ValueError("the run is gone.")', "period"),
    ],
)
def test_the_check_finds_faults(source: str, fault: str) -> None:
    """Each kind of fault is found in a source that has it."""
    assert any(fault in found for found in faults("recorder/planted.py", source))


def test_the_check_leaves_plain_texts_alone() -> None:
    """A verb phrase, a class defined by a noun phrase, a property and a message without a period have no faults."""
    source = '''
class Run:
    """A recorded call."""

    @property
    def name(self):
        """The name of the experiment, or None."""

    def remove(self):
        """Remove the run. Raises ValueError if it is in progress."""
        raise ValueError(f"run {self.name} is in progress; try again after it has ended")
'''
    assert not list(faults("recorder/planted.py", source))
