"""Makes the book's reference of what the program says of itself.

    python docs/book/reference.py            writes src/reference/commands.md and src/reference/settings.md
    python docs/book/reference.py --check    exit code 1 where they are not what it would write

`sidelight` is the one on PATH: `sidelight COMMAND --help` and `sidelight schema`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

REFERENCE = Path(__file__).resolve().parent / "src" / "reference"
NOTE = "<!-- Written by docs/book/reference.py: do not edit. -->\n"
Schema = dict[str, Any]


def ask(*words: str) -> str:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(["sidelight", *words], capture_output=True, text=True, encoding="utf-8", check=False, env=environment)
    if done.returncode != 0:
        sys.exit(f"sidelight {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def commands() -> str:
    overview = ask("--help")
    listed = overview.split("Commands:\n", 1)[1].split("\n\n", 1)[0]
    names = [name for name in re.findall(r"^  (\S+)", listed, flags=re.M) if name != "help"]
    parts = [NOTE, "# Commands\n", "What `sidelight COMMAND --help` prints. `-h` prints a shorter form.\n", fenced(overview)]
    for name in names:
        parts += [f"## sidelight {name}\n", fenced(ask(name, "--help"))]
    return "\n".join(parts)


def fenced(text: str) -> str:
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "\n".join(["```text", *lines, "```", ""])


def settings() -> str:
    schema = json.loads(ask("schema"))
    parts = [
        NOTE,
        "# Settings\n",
        "Every field of `sidelight.toml`, as `sidelight schema` lists them for editors. On the command line each is `--set SECTION.FIELD=VALUE`.\n",
    ]
    for name, section in properties(schema):
        whole = resolved(schema, section)
        parts += [f"## [{name}]\n", prose(section, whole)]
        fields = list(properties(whole))
        if fields:
            parts.append(table(schema, whole, fields))
        entry = whole.get("additionalProperties")
        if isinstance(entry, dict):
            parts += list(entries(schema, entry))
        told: set[str] = set()
        for field, inner in fields:
            parts += list(nested(schema, f"{name}.{field}", inner, told))
    return "\n".join(part for part in parts if part)


def nested(schema: Schema, path: str, field: Schema, told: set[str]) -> Iterator[str]:
    """Fields that are tables themselves, with fields of their own: each kind of table once, since layers hold layers."""
    forms = alternatives(schema, field)
    items = [one["items"] for one in forms if isinstance(one.get("items"), dict)]
    forms += [one for item in items for one in alternatives(schema, item)]
    forms = [one for one in forms if one.get("properties")]
    marks = [json.dumps(one, sort_keys=True) for one in forms]
    forms = [one for one, mark in zip(forms, marks) if mark not in told]
    told.update(marks)
    if forms:
        yield f"### {path}\n"
    for one in forms:
        fields = list(properties(one))
        tags = [f"{name} = {words(value)[0].strip('`')}" for name, value in fields if "const" in value]
        if tags:
            yield f"**`{', '.join(tags)}`** {links(one.get('description', '')).splitlines()[0] if one.get('description') else ''}\n"
            fields = [(name, value) for name, value in fields if "const" not in value]
        else:
            yield prose(one)
        if fields:
            yield table(schema, one, fields)
    for one in forms:
        for name, inner in properties(one):
            yield from nested(schema, f"{path}.{name}", inner, told)


def entries(schema: Schema, entry: Schema) -> Iterator[str]:
    """What stands at names that are the reader's own: the columns of `[metadata]`."""
    for one in alternatives(schema, entry):
        fields = list(properties(one))
        if fields:
            yield "Each line is a kind, or a table with these fields:\n"
            yield table(schema, one, fields)
        elif words(one):
            yield f"A kind is one of: {', '.join(words(one))}.\n"


def table(schema: Schema, owner: Schema, fields: list[tuple[str, Schema]]) -> str:
    required = set(owner.get("required", []))
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields:
        default = "(required)" if name in required else shown(field.get("default"))
        lines.append(f"| `{name}` | {cell(kind(schema, field))} | {cell(default)} | {cell(meaning(schema, field))} |")
    return "\n".join(lines) + "\n"


def properties(schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield from schema.get("properties", {}).items()


def resolved(schema: Schema, field: Schema) -> Schema:
    """What a `$ref` leads to, wherever it stands; what is said beside it holds."""
    while "$ref" in field:
        target: Any = schema
        for step in field["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        field = {**target, **{key: value for key, value in field.items() if key != "$ref"}}
    return field


def alternatives(schema: Schema, field: Schema) -> list[Schema]:
    """The forms that a field may have, `null` left out."""
    field = resolved(schema, field)
    several = field.get("anyOf") or field.get("oneOf")
    if not several:
        return [field]
    found = [one for each in several for one in alternatives(schema, each)]
    return [one for one in found if one.get("type") != "null"]


def kind(schema: Schema, field: Schema) -> str:
    """The type as a person would say it: `"all"` or `"gradual"`; a list of texts."""
    forms = []
    for one in alternatives(schema, field):
        if words(one):
            forms += words(one)
            continue
        types = one.get("type", "object" if "properties" in one else "string" if "pattern" in one else "any")
        for each in [types] if isinstance(types, str) else types:
            forms += [] if each == "null" else [named(schema, each, one)]
    return " or ".join(dict.fromkeys(forms)) or "any"


def named(schema: Schema, name: str, one: Schema) -> str:
    match name:
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "integer" | "number":
            return ("whole number" if name == "integer" else "number") + bounds(one)
        case "array":
            items = one.get("items") or one.get("prefixItems")
            inner = kind(schema, items if isinstance(items, dict) else items[0]) if items else "any"
            length = one.get("minItems")
            fixed = f"{length} of " if length and length == one.get("maxItems") else ""
            return f"list: {fixed}{inner}"
        case "object":
            return "table"
    return name


def bounds(one: Schema) -> str:
    low, high = one.get("minimum"), one.get("maximum")
    above, below = one.get("exclusiveMinimum"), one.get("exclusiveMaximum")
    ends = [f"≥ {low}" if low not in (None, 0, 0.0) else "", f"> {above}" if above is not None else ""]
    ends += [f"≤ {high}" if high is not None and high < 1e6 else "", f"< {below}" if below is not None else ""]
    said = ", ".join(end for end in ends if end)
    return f" {said}" if said else ""


def words(one: Schema) -> list[str]:
    """The words that a field may be, quoted as in TOML."""
    if "const" in one:
        return [f"`{json.dumps(one['const'])}`"]
    return [f"`{json.dumps(word, ensure_ascii=False)}`" for word in one.get("enum", []) if word is not None]


def shown(default: Any) -> str:
    return "" if default is None else f"`{toml(default)}`"


def toml(value: Any) -> str:
    """As it would be written; what is `null` is left out."""
    if isinstance(value, dict):
        inside = ", ".join(f"{name} = {toml(one)}" for name, one in value.items() if one is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)


def meaning(schema: Schema, field: Schema) -> str:
    own = field.get("description") or resolved(schema, field).get("description", "")
    parts = [own]
    for one in alternatives(schema, field):
        if "const" in one and one.get("description"):
            parts.append(f"{words(one)[0]}: {one['description']}")
    return "\n".join(part for part in parts if part)


def prose(*found: Schema) -> str:
    said = next((one["description"] for one in found if one.get("description")), "")
    return f"{links(said)}\n" if said else ""


def links(text: str) -> str:
    """Without the links of Rust's documentation, which lead nowhere here."""
    text = re.sub(r"\[(`[^`]*`)\](?:\([^)]*\))?", r"\1", text)
    return re.sub(r"(?m)^# ", "#### ", text)


def cell(text: str) -> str:
    """In one line of a table."""
    text = links(text).split("\n#### ")[0]
    text = re.sub(r"\s*\n\s*", " ", text.strip())
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


def main(words: list[str]) -> None:
    if words not in ([], ["--check"]):
        sys.exit(__doc__)
    pages = {"commands.md": commands(), "settings.md": settings()}
    wrong = False
    for name, text in pages.items():
        file = REFERENCE / name
        text = text.rstrip("\n") + "\n"
        if not words:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            continue
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        if before != text:
            wrong = True
            sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), str(file), "as it would be written", n=1))
    if wrong:
        sys.exit("the reference is out of date: run python docs/book/reference.py with this `sidelight` on PATH")
    print("the reference is what the program says" if words else f"written: {REFERENCE}")


if __name__ == "__main__":
    main(sys.argv[1:])
