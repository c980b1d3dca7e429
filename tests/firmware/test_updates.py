"""What a node runs is what somebody has signed for it, and one of its two programs can always be started."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linli_sim.nodes.vm import Machine

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw().hex()
_ORDER = 2**252 + 27742317777372353535851937790883648493


def _work(machine: Machine, part: str, cases: list[Any]) -> list[Any]:
    found = machine.check("updates", {part: cases})
    assert isinstance(found, dict)
    results: list[Any] = found[part]
    return results


def test_a_digest_is_the_same_as_everybody_elses(machine: Machine) -> None:
    dice = random.Random(1)
    texts = [dice.randbytes(length) for length in (0, 1, 111, 112, 127, 128, 129, 500)]
    assert _work(machine, "sha512", [text.hex() for text in texts]) == [
        hashlib.sha512(text).hexdigest() for text in texts
    ]


def test_a_signature_is_taken_and_a_changed_one_is_not(machine: Machine) -> None:
    dice = random.Random(2)
    message = dice.randbytes(300)
    signature = KEY.sign(message)
    scalar = int.from_bytes(signature[32:], "little") + _ORDER
    sound = [[PUBLIC, message.hex(), signature.hex()], [PUBLIC, "", KEY.sign(b"").hex()]]
    wrong = [
        [PUBLIC, message.hex(), (signature[:32] + scalar.to_bytes(32, "little")).hex()],  # the same, written otherwise
        [PUBLIC, message.hex(), signature[:-1].hex()],
        [PUBLIC[:-2], message.hex(), signature.hex()],
        ["ff" * 32, message.hex(), signature.hex()],
        [Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex(), message.hex(), signature.hex()],
    ]
    for place in range(0, 64, 9):
        changed = bytearray(signature)
        changed[place] ^= 1 << dice.randrange(8)
        wrong.append([PUBLIC, message.hex(), changed.hex()])
    changed = bytearray(message)
    changed[7] ^= 0x10
    wrong.append([PUBLIC, changed.hex(), signature.hex()])
    assert _work(machine, "verify", [*sound, *wrong]) == [True] * len(sound) + [False] * len(wrong)


def _manifest(files: dict[str, bytes], number: int = 1, board: str = "desktop") -> str:
    named = {name: [len(data), hashlib.sha256(data).hexdigest()] for name, data in files.items()}
    return json.dumps({"board": board, "number": number, "files": named})


def _begin(manifest: str, key: Ed25519PrivateKey = KEY, kind: str = "desktop") -> list[Any]:
    return ["begin", [manifest, key.sign(manifest.encode()).hex(), PUBLIC, kind]]


def _steps(machine: Machine, root: Path, *steps: list[Any]) -> list[Any]:
    (found,) = _work(machine, "steps", [{"root": str(root), "steps": list(steps)}])
    assert isinstance(found, list)
    return found


def _first(root: Path) -> None:
    (root / "a").mkdir(parents=True)
    (root / "a" / "main.mpy").write_bytes(b"old")
    (root / "a" / "same.mpy").write_bytes(b"same")


FILES = {"main.mpy": b"new program", "same.mpy": b"same"}


def test_an_update_is_tried_proven_and_stays(tmp_path: Path, unix_port: Machine) -> None:
    _first(tmp_path)
    found = _steps(
        unix_port, tmp_path,
        ["start", []], _begin(_manifest(FILES)), ["chunk", ["main.mpy", 0, b"new ".hex()]],
        ["chunk", ["main.mpy", 9, b"x".hex()]], ["chunk", ["main.mpy", 4, b"program".hex()]], ["missing", []],
        ["finish", []], ["start", []], ["proven", []], ["start", []], ["proven", []],
    )  # fmt: skip
    assert found == [
        "a", [["main.mpy", 0]], False,
        "refused: a piece of main.mpy at 9, expected at 4", True, [],
        None, "b", True, "b", False,
    ]  # fmt: skip
    assert (tmp_path / "b" / "same.mpy").read_bytes() == b"same"


def test_an_update_that_proves_nothing_is_rolled_back_after_three_starts(tmp_path: Path, unix_port: Machine) -> None:
    _first(tmp_path)
    begun = [_begin(_manifest(FILES)), ["chunk", ["main.mpy", 0, b"new program".hex()]], ["finish", []]]
    starts = [["start", []]] * 5
    found = _steps(unix_port, tmp_path, *begun, *starts, _begin(_manifest(FILES)), _begin(_manifest(FILES, number=2)))
    assert found[3:8] == ["b", "b", "b", "a", "a"]
    assert found[8] == "refused: update 1 is no newer than 1, which runs"
    assert found[9] == []  # its files are there already: only the number is another


def test_a_watchdog_is_fed_while_a_signature_is_worked_out_and_files_are_copied(
    tmp_path: Path, unix_port: Machine
) -> None:
    files = {f"m{place}.mpy": bytes([place]) for place in range(30)}
    (tmp_path / "a").mkdir()
    for name, data in files.items():
        (tmp_path / "a" / name).write_bytes(data)
    manifest = _manifest(files)
    begun, fed, _, later = _steps(unix_port, tmp_path, _begin(manifest), ["fed", []], ["finish", []], ["fed", []])
    assert begun == []
    # Each block of the digest, each sixteenth doubling, each file.
    assert fed >= len(manifest) // 128 + 15 + len(files)
    assert later == fed + len(files)


def test_what_must_not_run_does_not(tmp_path: Path, unix_port: Machine) -> None:
    _first(tmp_path)
    sound = _manifest(FILES)
    stranger = Ed25519PrivateKey.generate()
    tampered = ["begin", [sound.replace("main", "mean"), KEY.sign(sound.encode()).hex(), PUBLIC, "desktop"]]
    found = _steps(
        unix_port, tmp_path,
        _begin(sound, stranger), tampered, _begin(_manifest(FILES, board="esp32c3")), _begin("[]"), _begin("{"),
        _begin(_manifest({"../boot.py": b"x"})), _begin(_manifest({"a/b/c/d.mpy": b"x"})),
        _begin(_manifest({"main.mpy": b""})), _begin(_manifest({"main.mpy": bytes(40_000)})),
        _begin(sound + " " * 9_000),
        ["chunk", ["main.mpy", 0, "00"]],
        _begin(sound), ["finish", []], ["chunk", ["other.mpy", 0, "00"]],
        ["chunk", ["main.mpy", 0, b"bad program".hex()]],
        ["finish", []], ["start", []],
    )  # fmt: skip
    told = [text.removeprefix("refused: ") if isinstance(text, str) else text for text in found]
    assert told == [
        "the manifest is not signed by whoever may update this node",
        "the manifest is not signed by whoever may update this node",
        "the update is for esp32c3; this is desktop",
        "the manifest cannot be read",
        "the manifest cannot be read",
        "a file that no update has: ../boot.py",
        "a file that no update has: a/b/c/d.mpy",
        "a file that no update has: main.mpy",
        "a file that no update has: main.mpy",
        f"a manifest of {len(sound) + 9_000} bytes; 8192 at most",
        "nobody asked for main.mpy",
        [["main.mpy", 0]],
        "main.mpy is missing",
        "nobody asked for other.mpy",
        "main.mpy is not what the manifest says",
        "main.mpy is missing",
        "a",
    ]


def test_a_damaged_note_of_which_slot_runs_starts_the_first(tmp_path: Path, unix_port: Machine) -> None:
    _first(tmp_path)
    for content in (b"", b"0", b"00000000{}", b"\xff" * 40):
        (tmp_path / "slot").write_bytes(content)
        assert _steps(unix_port, tmp_path, ["start", []]) == ["a"]


def test_an_update_throws_away_the_bundle_of_the_slot_that_it_changes(tmp_path: Path, unix_port: Machine) -> None:
    _first(tmp_path)
    for slot in ("a", "b"):
        (tmp_path / slot).mkdir(exist_ok=True)
        (tmp_path / slot / "bundle").write_bytes(b"of the program before")
    # What is refused changes nothing.
    _steps(unix_port, tmp_path, _begin(_manifest(FILES, board="esp32c3")))
    assert (tmp_path / "b" / "bundle").exists()
    _steps(unix_port, tmp_path, _begin(_manifest(FILES)))
    assert [(tmp_path / slot / "bundle").exists() for slot in ("a", "b")] == [True, False]
