"""Grafana's published description of its HTTP API (OpenAPI), as the Go client that is made of it carries it.

No package carries the description itself. ``github.com/grafana/grafana-openapi-client-go`` is generated from it,
operation by operation and model by model, and released by Grafana: its sources say which methods and paths there are,
which values a query may have, which fields a body has, of which types, and which of them are required. They are read
as text; nothing of them is compiled, run or kept.

``python -m linli_sim.grafana_api`` fetches the module, by the go command and the module proxy.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linli_core.errors import LinliError

MODULE: Final = "github.com/grafana/grafana-openapi-client-go"
VERSION: Final = "v0.0.0-20260330113218-ee77c4f6f90e"

_OPERATION: Final = re.compile(r'ID:\s+"(\w+)",\s+Method:\s+"([A-Z]+)",\s+PathPattern:\s+"([^"]+)"')
_QUERY: Final = re.compile(r'SetQueryParam\("([^"]+)"')
_BODY: Final = re.compile(r"^\tBody (\S+)$", re.MULTILINE)
_PAYLOAD: Final = re.compile(r"^type \w+(?:OK|Created|Accepted|NoContent) struct \{\s+Payload (\S+)", re.MULTILINE)
_STRUCT: Final = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_ALIAS: Final = re.compile(r"^type (\w+) ((?!struct\b)\S+)$", re.MULTILINE)
_FIELD: Final = re.compile(r'((?:^\t//[^\n]*\n)*)^\t\w+\s+(\S+)\s+`json:"([^",]+)[^`]*`', re.MULTILINE)
_EMBEDDED: Final = re.compile(r"^\t(\w+)$", re.MULTILINE)
_ENUM: Final = re.compile(r"Enum: \[([^\]]*)\]")
_MISSING: Final = " is missing"
_INTEGERS: Final = frozenset({"int", "int32", "int64", "uint32", "uint64"})
_NUMBERS: Final = frozenset({"float32", "float64"})


class NoDescription(LinliError):
    """The description is not here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a model."""

    type: str
    is_required: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked.

    Attributes:
        id: Its name in the description.
        method, path: How; parts in braces stand for anything.
        query: Values that may stand in the query.
        body: Type of the body; empty for none.
        payload: Type of what is answered; empty for anything.
    """

    id: str
    method: str
    path: str
    query: frozenset[str]
    body: str
    payload: str

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is this one."""
        pattern = re.sub(r"\\\{[^}]*\}", "[^/]+", re.escape(self.path))
        return method == self.method and re.fullmatch(pattern, path.rstrip("/")) is not None


@dataclass(frozen=True, slots=True)
class Description:
    """The description.

    Attributes:
        operations: What can be asked.
        models: Fields by model.
        aliases: What a name stands for.
    """

    operations: tuple[Operation, ...]
    models: Mapping[str, Mapping[str, Field]] = field(repr=False)
    aliases: Mapping[str, str] = field(repr=False)

    def find(self, method: str, path: str) -> Operation | None:
        """Return the operation of a request; of several the one with the fewest blanks."""
        found = [operation for operation in self.operations if operation.matches(method, path)]
        return min(found, key=lambda operation: operation.path.count("{"), default=None)

    def judge(self, method: str, path: str, query: Mapping[str, object], body: object) -> Iterator[str]:
        """Yield what a request does that the description does not have."""
        operation = self.find(method, path)
        if operation is None:
            yield f"{method} {path}: no such operation"
            return
        where = f"{method} {operation.path}"
        for name in sorted(set(query) - operation.query):
            yield f"{where}: no value {name!r} in its query"
        if operation.body:
            yield from (f"{where}: {each}" for each in self._judge(body, operation.body, "body"))
        elif body is not None:
            yield f"{where}: takes no body"

    def judge_answer(self, method: str, path: str, answer: object) -> Iterator[str]:
        """Yield what an answer holds that the description does not have; it need not hold all that it could."""
        operation = self.find(method, path)
        if operation is not None and operation.payload:
            for each in self._judge(answer, operation.payload, "answer"):
                if not each.endswith(_MISSING):
                    yield f"{method} {operation.path}: {each}"

    def _judge(self, value: object, kind: str, where: str) -> Iterator[str]:
        kind = kind.lstrip("*").removeprefix("models.")
        if kind.startswith("[]"):
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for number, each in enumerate(value):
                yield from self._judge(each, kind[2:], f"{where}[{number}]")
        elif kind.startswith("map["):
            if not isinstance(value, dict):
                yield f"{where} is no object"
                return
            for name, each in value.items():
                yield from self._judge(each, kind.partition("]")[2], f"{where}.{name}")
        elif kind in self.models:
            yield from self._judge_model(value, self.models[kind], where)
        elif kind in self.aliases:
            yield from self._judge(value, self.aliases[kind], where)
        elif not _is(value, kind):
            yield f"{where} is no {kind}: {value!r:.60}"

    def _judge_model(self, value: object, fields: Mapping[str, Field], where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        for name in sorted(set(value) - set(fields)):
            yield f"{where} has no field {name!r}"
        for name, known in fields.items():
            if name not in value:
                if known.is_required:
                    yield f"{where}.{name}{_MISSING}"
                continue
            yield from self._judge(value[name], known.type, f"{where}.{name}")
            if known.words and value[name] not in known.words:
                yield f"{where}.{name} is none of {', '.join(known.words)}: {value[name]!r:.60}"


def _is(value: object, kind: str) -> bool:
    if kind in _INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "bool":
        return isinstance(value, bool)
    # Moments, durations and the like are texts; interface{} is anything.
    return isinstance(value, str) if kind == "string" or kind.startswith("strfmt.") else True


def folder(*, fetch: bool = False) -> Path:
    """Return where the module is: in go's own cache, or fetched into it.

    Raises:
        NoDescription: There is no go command, or the module is not here and was not to be, or could not be, fetched.
    """
    go = shutil.which("go")
    if go is None:
        raise NoDescription("there is no go command (Debian: apt-get install golang-go)")
    environment = dict(os.environ) if fetch else {**os.environ, "GOPROXY": "off"}
    argv = [go, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    told = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in told:
        raise NoDescription(f"{MODULE} is not here (make grafana-api fetches it): {told.get('Error', '')[:120]}")
    return Path(told["Dir"])


def read(sources: Path) -> Description:
    """Return the description that the sources of the client carry."""
    models: dict[str, dict[str, Field]] = {}
    aliases: dict[str, str] = {}
    embedded: dict[str, list[str]] = {}
    for path in sorted((sources / "models").glob("*.go")):
        text = path.read_text(encoding="utf-8")
        for name, inside in _STRUCT.findall(text):
            models[name] = {
                known: Field(
                    kind,
                    "Required: true" in comment,
                    tuple(words[1].split())
                    if kind.lstrip("*") == "string" and (words := _ENUM.search(comment))
                    else (),
                )
                for comment, kind, known in _FIELD.findall(inside)
            }
            embedded[name] = _EMBEDDED.findall(inside)
        aliases.update(_ALIAS.findall(text))
    for name, parents in embedded.items():
        for parent in parents:
            models[name] = {**models.get(parent, {}), **models[name]}
    operations = [each for path in sorted((sources / "client").glob("*/*_client.go")) for each in _operations(path)]
    return Description(tuple(operations), models, aliases)


def _operations(path: Path) -> Iterator[Operation]:
    # Files are named as operations are, with underscores set by rules of the generator's own.
    beside = {each.stem.replace("_", ""): each for each in path.parent.glob("*.go")}
    for name, method, pattern in _OPERATION.findall(path.read_text(encoding="utf-8")):
        asked = beside[f"{name.lower()}parameters"].read_text(encoding="utf-8")
        answered = beside[f"{name.lower()}responses"].read_text(encoding="utf-8")
        body, payload = _BODY.search(asked), _PAYLOAD.search(answered)
        yield Operation(
            id=name,
            method=method,
            path=pattern,
            query=frozenset(_QUERY.findall(asked)),
            body=body[1] if body else "",
            payload=payload[1] if payload else "",
        )


def main() -> int:
    """Fetch the module, and say what it holds."""
    description = read(folder(fetch=True))
    held = {"module": MODULE, "version": VERSION, "operations": len(description.operations)}
    print(json.dumps({**held, "models": len(description.models)}))  # noqa: T201 - the command's output
    return 0


if __name__ == "__main__":
    sys.exit(main())
