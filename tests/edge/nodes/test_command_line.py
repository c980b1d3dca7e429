"""``linli-edge node``: keys that are made once, programs that are compiled and signed, updates that are offered."""

import json
from pathlib import Path

import pytest
from cryptography import x509

from linli_edge.cli import WRONG, main
from linli_edge.nodes.build import BOARDS, read_key
from linli_edge.nodes.offers import Offers, Wanted


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["node", "keys", "--lang", "en"]) == 0
    assert capsys.readouterr().out.count("is made") == 2
    return tmp_path / "nodes-pki"


def test_keys_are_made_once_and_secret(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    assert main(["node", "keys", "--lang", "zh"]) == 0
    assert capsys.readouterr().out.count("已经存在") == 2
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    assert {path.name for path in keys.iterdir() if path.stat().st_mode & 0o077 == 0} >= {
        "ca.key",
        "broker.key",
        "updates.key",
    }


def test_a_nodes_keys_are_its_own(keys: Path) -> None:
    assert main(["node", "keys", "door-1"]) == 0
    out = Path("keys-door-1")
    certificate = x509.load_der_x509_certificate((out / "node.der").read_bytes())
    authority = x509.load_der_x509_certificate((out / "ca.der").read_bytes())
    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.rfc4514_string() == "CN=door-1"
    # A board without a clock begins at 1970-01-01 or later, and must find it valid then.
    assert certificate.not_valid_before_utc.year == 1970
    assert (out / "update.pub").read_bytes() == read_key(keys / "updates.key").public_key().public_bytes_raw()
    assert (out / "node.key").stat().st_mode & 0o077 == 0


def test_a_nodes_shared_key_is_the_line_that_the_broker_reads(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", "keys", "door-1", "--shared"]) == WRONG
    assert "shared.keys: cannot be read (No such file" in capsys.readouterr().err
    for lang, said in (("en", "is made"), ("zh", "共享密钥文件已经存在")):
        assert main(["node", "keys", "--shared", "--lang", lang]) == 0
        assert said in capsys.readouterr().out
    assert main(["node", "keys", "door-1", "--shared"]) == 0
    line = Path("keys-door-1/shared.key").read_text()
    assert (keys / "shared.keys").read_text().splitlines()[1:] == [line]
    assert Path("keys-door-1/shared.key").stat().st_mode & 0o077 == 0
    assert line.partition(":")[2] not in capsys.readouterr().out


WRONGLY = [
    ["keys", "Door_1"],
    ["keys", "a", "--keys", "nowhere"],
    ["build", "--board", "rp2", "--keys", "nowhere"],
    ["build", "--board", "rp2", "--number", "0"],
]


@pytest.mark.parametrize("words", WRONGLY, ids=["name", "no-authority", "no-key", "number"])
def test_what_is_wrong_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", *words]) == WRONG
    assert ": " in capsys.readouterr().err


@pytest.mark.parametrize("board", BOARDS)
def test_a_program_is_compiled_for_every_kind_of_board_and_offered(
    board: str, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["node", "build", "--board", board, "--number", "7", "--lang", "en"]) == 0
    assert f"KB for {board}, update 7" in capsys.readouterr().out
    assert main(["node", "update", "door-1", "leak-1", "--data", "data", "--lang", "en"]) == 0
    assert capsys.readouterr().out == f"door-1: offered update 7 for {board}\nleak-1: offered update 7 for {board}\n"
    offers = Offers(Path("data/node-updates"))
    offer = offers.of("door-1")
    assert offer is not None
    read_key(keys / "updates.key").public_key().verify(bytes.fromhex(offer.signature), offer.text.encode())
    assert (offer.manifest.board, offer.manifest.number) == (board, 7)
    name, (size, _) = next(iter(offer.manifest.files.items()))
    data, offset = b"", 0
    while (piece := offers.piece("door-1", Wanted(name, offset))) is not None:
        data += piece[2 + len(name) + 4 :]
        offset = len(data)
    assert len(data) == size
    assert data[:1] == b"M"  # what every compiled module begins with
    assert Path("build/node/loader/lib/linli_loader.mpy").read_bytes()[:1] == b"M"
    assert Path("build/node/loader/main.py").exists()


def test_nothing_is_handed_out_that_the_offer_does_not_name(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    assert offers.of("door-1") is None
    folder = tmp_path / "door-1"
    (folder / "files").mkdir(parents=True)
    (folder / "secret").write_bytes(b"secret")
    (folder / "manifest").write_text(json.dumps({"board": "rp2", "number": 1, "files": {"a.mpy": [1, "00"]}}))
    (folder / "signature").write_text("00")
    assert offers.of("door-1") is not None
    for wanted in (Wanted("../secret"), Wanted("a.mpy", -1), Wanted("a.mpy"), Wanted("b.mpy")):
        assert offers.piece("door-1", wanted) is None
    (folder / "manifest").write_bytes(b"\xff")
    assert offers.of("door-1") is None


def test_a_folder_that_holds_no_program_is_not_offered(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    for folder in ("empty", "gone"):
        assert main(["node", "update", "door-1", "--build", folder, "--data", "data"]) == WRONG
        assert "--build" in capsys.readouterr().err
    assert not Path("data/node-updates/door-1").exists()
