"""Checks the book: its links, and that what it tells readers to type works.

    python docs/book/check.py links                   every link leads somewhere, every line of Rust is one of an example
    python docs/book/check.py run [CHAPTER …]         each chapter's ```sh and ```python blocks, in a fresh folder
    python docs/book/check.py notebooks               the notebooks of docs/notebooks, each in a fresh folder

Blocks of a chapter run in order, those of ```sh in one shell and those of ```python in one interpreter. ```sh,fails is a
block whose last command is to fail; ```console is shown and not run. A ```text block after one that ran is what it prints:
each of its lines must be there, but for numbers, which may differ, and for what `…` stands for.

`sidelight` and `python` are those on PATH. Exit code 1, with chapter, line and output, at the first thing that is wrong.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent.parent
SOURCE = BOOK / "src"
NOTEBOOKS = BOOK.parent / "notebooks"
REPOSITORY = "https://github.com/sidelight/sidelight/blob/main/"
#: No block needs as much; one that has lost its way ends there.
CPU_SECONDS = 300

#: Runs files of Python in one namespace; the value of a last expression is printed, as a notebook does.
INTERPRETER = """
import ast, os, sys, traceback
names = {"__name__": "__main__"}
done = os.fdopen(int(sys.argv[1]), "w")
for line in sys.stdin:
    source, out = line.rstrip("\\n").split("\\t")
    file = open(out, "w", encoding="utf-8")
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    code = 0
    try:
        tree = ast.parse(open(source, encoding="utf-8").read())
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, source, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), source, "eval"), names)
            if value is not None:
                print(repr(value))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    print(code, file=done, flush=True)
"""


@dataclass
class Block:
    """A fenced block: the words after its fence, the line of its first line, and its lines."""

    words: list[str]
    line: int
    text: str


def blocks(chapter: Path) -> list[Block]:
    found, fence = [], None
    for number, line in enumerate(chapter.read_text(encoding="utf-8").splitlines(), 1):
        opened = re.match(r"^(```+)\s*(\S*)", line)
        if fence is None and opened:
            fence, lines, start = opened[1], [], number + 1
            words = opened[2].split(",")
        elif fence is not None and line.rstrip() == fence:
            found.append(Block(words, start, "\n".join(lines) + "\n"))
            fence = None
        elif fence is not None:
            lines.append(line)
    if fence is not None:
        sys.exit(f"{chapter.relative_to(ROOT)}:{start - 1}: this block has no end")
    return found


class Session:
    """A shell and an interpreter in one folder, until the end of the chapter."""

    def __init__(self, folder: Path, hidden: Path) -> None:
        self.folder, self.hidden = folder, hidden
        self.started: dict[str, tuple[subprocess.Popen, int]] = {}
        self.number = 0

    def _start(self, kind: str) -> tuple[subprocess.Popen, int]:
        if kind not in self.started:
            read, write = os.pipe()
            limit = ["bash", "-c", f'ulimit -t {CPU_SECONDS}; exec "$@"', "bash"]
            command = ["bash", "--norc"] if kind == "sh" else ["python", "-c", INTERPRETER, str(write)]
            process = subprocess.Popen(
                limit + command,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[write],
                start_new_session=True,
            )
            os.close(write)
            self.started[kind] = (process, read)
            if kind == "sh":
                process.stdin.write(f"done={write}\nset -eu\n".encode())
        return self.started[kind]

    def run(self, kind: str, text: str, fails: bool) -> tuple[int, str]:
        """Exit code and what was printed."""
        process, done = self._start(kind)
        self.number += 1
        source, out = self.hidden / f"{self.number}.{kind}", self.hidden / f"{self.number}.out"
        source.write_text(text, encoding="utf-8")
        if kind == "python":
            line = f"{source}\t{out}\n"
        elif fails:
            # In a shell of its own, whose failure does not end this one.
            line = f"if bash -eu '{source}' >'{out}' 2>&1 </dev/null; then echo 0 >&$done; else echo 1 >&$done; fi\n"
        else:
            line = f". '{source}' >'{out}' 2>&1 </dev/null\necho 0 >&$done\n"
        process.stdin.write(line.encode())
        process.stdin.flush()
        # Children in the background keep the pipe open when the shell has failed, so its end is asked for as well.
        while not select.select([done], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
        ready = select.select([done], [], [], 0)[0]
        code = os.read(done, 16).decode().strip() if ready else ""
        printed = out.read_text(encoding="utf-8", errors="replace") if out.exists() else ""
        return int(code or process.wait() or 1), printed

    def close(self) -> None:
        for process, done in self.started.values():
            os.close(done)
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            process.stdin.close()
            process.wait()


def plain(line: str) -> str:
    """A line without what may differ: numbers, and how many blanks make a column."""
    line = unicodedata.normalize("NFKC", line)
    line = re.sub(r"[-−]?\d+(?:[.,\u202f ]\d+)*(?:e[-+]?\d+)?", "#", line)
    return re.sub(r"\s+", " ", line).strip()


def is_printed(shown: str, printed: list[str]) -> bool:
    parts = [re.escape(part.strip()) for part in plain(shown).replace("...", "…").split("…")]
    pattern = re.compile(r"\s*.*\s*".join(parts) if len(parts) > 1 else parts[0])
    return any(pattern.fullmatch(line) for line in printed)


def run(chapter: Path) -> None:
    place = chapter.relative_to(ROOT)
    with tempfile.TemporaryDirectory(prefix="sidelight-book-") as folder, tempfile.TemporaryDirectory() as hidden:
        session = Session(Path(folder), Path(hidden))
        printed: list[str] | None = None
        last = ""
        try:
            for block in blocks(chapter):
                kind = block.words[0]
                if kind in ("sh", "python"):
                    fails = "fails" in block.words
                    code, last = session.run(kind, block.text, fails)
                    printed = [plain(line) for line in last.splitlines()]
                    if (code != 0) != fails:
                        sys.exit(f"{place}:{block.line}: {'does not fail' if fails else 'fails'}:\n\n{block.text}\nprinted:\n\n{last}")
                elif kind == "text" and printed is not None:
                    for number, line in enumerate(block.text.splitlines()):
                        if plain(line) and not is_printed(line, printed):
                            sys.exit(f"{place}:{block.line + number}: this is not printed:\n\n{line}\n\nbut:\n\n{last}")
                else:
                    printed = None
        finally:
            session.close()
    print(f"{place}: runs", flush=True)


def chapters() -> list[Path]:
    named = re.findall(r"\]\(([^)#]+\.md)\)", (SOURCE / "SUMMARY.md").read_text(encoding="utf-8"))
    return [SOURCE / name for name in named]


def anchor(heading: str) -> str:
    """As mdBook makes it of a heading."""
    kept = [c.lower() for c in heading.strip() if c.isalnum() or c in "_- "]
    return "".join(kept).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#{1,6}\s+(.+)$", text, flags=re.M)
    named = set(re.findall(r"id=\"([^\"]+)\"", text))
    return named | {anchor(re.sub(r"`|\]\([^)]*\)|\[", "", heading)) for heading in headings}


def links() -> None:
    wrong = []
    pages = [SOURCE / "SUMMARY.md", *chapters()]
    listed = {page.resolve() for page in pages}
    wrong += [f"{page.relative_to(ROOT)}: not in SUMMARY.md" for page in SOURCE.rglob("*.md") if page.resolve() not in listed]
    for page in pages:
        if not page.is_file():
            wrong.append(f"SUMMARY.md: there is no {page.relative_to(SOURCE)}")
            continue
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
            if target.startswith(REPOSITORY):
                file, _, name = target.removeprefix(REPOSITORY).partition("#")
                there = ROOT / file
            elif "://" in target:
                continue
            else:
                file, _, name = target.partition("#")
                there = page.parent / file if file else page
            if not there.exists():
                wrong.append(f"{page.relative_to(ROOT)}: {target} leads nowhere")
            elif name and there.suffix == ".md" and name not in anchors(there):
                wrong.append(f"{page.relative_to(ROOT)}: {target}: there is no such heading")
    wrong += rust()
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"links of {len(pages)} pages lead somewhere, and their Rust is that of the examples", flush=True)


def rust() -> list[str]:
    """Lines of Rust that are in no example: examples are compiled and run by tests, the book's copies are not."""
    examples = (ROOT / "crates" / "sidelight" / "examples").glob("*.rs")
    known = {line.strip() for file in examples for line in file.read_text(encoding="utf-8").splitlines()}
    return [
        f"{chapter.relative_to(ROOT)}:{block.line + number}: in no example: {line.strip()}"
        for chapter in chapters()
        for block in blocks(chapter)
        if block.words[0] == "rust"
        for number, line in enumerate(block.text.splitlines())
        if line.strip() not in known | {""}
    ]


def notebooks() -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    found = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not found:
        sys.exit(f"no notebooks in {NOTEBOOKS}")
    for file in found:
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
        with tempfile.TemporaryDirectory(prefix="sidelight-book-") as folder:
            client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}})
            try:
                client.execute()
            except CellExecutionError as error:
                sys.exit(f"{file.relative_to(ROOT)}: {error}")
        print(f"{file.relative_to(ROOT)}: runs", flush=True)


def main(words: list[str]) -> None:
    match words:
        case ["links"]:
            links()
        case ["notebooks"]:
            notebooks()
        case ["run", *names]:
            for chapter in [SOURCE / f"{name.removesuffix('.md')}.md" for name in names] or chapters():
                run(chapter)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
