"""Power cuts by a seed in log and counter: ``main`` prints what was lost, doubled or did not start again."""

import binascii
import hashlib
import json
import os
import random

from linli_desktop.life import Life
from linli_desktop.nor import Nor, PowerCut

from linli_node.counter import Counter
from linli_node.errors import NodeError
from linli_node.flash import BlockFlash
from linli_node.folder_flash import FolderFlash
from linli_node.ringlog import RingLog
from linli_node.saved import Saved


class Gateway:
    """What takes records: all in order, each once; its answers may stay away."""

    def __init__(self):
        self.marks = {}
        self.taken = []

    def take(self, epoch, seq, since, payload):
        mark = self.marks.get(epoch, 0)
        if seq > mark and since <= mark + 1:
            self.taken.append(payload)
            self.marks[epoch] = mark = seq
        return mark


class Board:
    """A board whose flash outlives its program."""

    def __init__(self, kind, blocks):
        self.nor = Nor(blocks, bits=random.getrandbits)
        self._kind = kind
        self._life = None
        if kind == "folder":
            import vfs

            vfs.VfsLfs2.mkfs(self.nor)

    def flash(self):
        """Return the flash as a program finds it at its start."""
        before, self._life = self._life, Life(self.nor)
        if before is not None:
            before.end()
        if self._kind == "raw":
            return BlockFlash(self._life, page=random.choice((1, 256)))
        import vfs

        if "flash" in os.listdir("/"):
            vfs.umount("/flash")
        vfs.mount(vfs.VfsLfs2(self._life), "/flash")
        return FolderFlash("/flash/log", 8, 2048)

    def cut_soon(self):
        self.nor.budget = random.randrange(1, random.choice((40, 400, 3000, 9000)))


def _day(log, gateway, told, number):
    """Live until the power goes: write, send, be acknowledged."""
    while True:
        for _ in range(random.randrange(1, 4)):
            number[0] += 1
            payload = b"%d:" % number[0] + b"x" * random.randrange(0, 90)
            log.append(payload)
            told.append(payload)
        for seq, since, payload in log.pending():
            mark = gateway.take(log.epoch, seq, since, payload)
            if random.random() < 0.8:
                log.ack(mark)
            if random.random() < 0.1:
                break


def ring(kind, cuts):
    """Cut the power while the log is written; every record that was durable arrives, once."""
    board, gateway, told, number, bricked = Board(kind, 16 if kind == "raw" else 48), Gateway(), [], [0], 0
    for _ in range(cuts):
        log = RingLog(board.flash(), lambda: random.getrandbits(32))
        board.cut_soon()
        try:
            log.open()
            _day(log, gateway, told, number)
        except PowerCut:
            pass
        board.nor.budget = -1
    log = RingLog(board.flash(), lambda: random.getrandbits(32))
    log.open()
    for _ in range(3):
        for seq, since, payload in log.pending():
            log.ack(gateway.take(log.epoch, seq, since, payload))
    bricked += log.backlog != 0
    taken = {}
    for payload in gateway.taken:
        taken[payload] = taken.get(payload, 0) + 1
    lost = sum(payload not in taken for payload in told)
    doubled = sum(times - 1 for times in taken.values())
    return {"cuts": cuts, "records": len(told), "lost": lost, "doubled": doubled, "bricked": bricked}


def counter(kind, cuts):
    """Cut the power while pulses are counted; no more are missing than the declared window."""
    board, window, bricked, lost, doubled, value = Board(kind, 8 if kind == "raw" else 48), 10, 0, 0, 0, 0
    for _ in range(cuts):
        count = Counter(Saved(board.flash()), window)
        board.cut_soon()
        pulses = 0
        try:
            count.load()
            # At most the window is missing, and nothing was added: the pulse under way may or may not be there.
            lost += max(0, value - (window - 1) - count.value)
            doubled += max(0, count.value - value - 1)
            value = count.value
            while True:
                pulses += 1
                count.add(1)
                value += 1
        except PowerCut:
            pass
        board.nor.budget = -1
        try:
            Counter(Saved(board.flash()), window).load()
        except (OSError, NodeError):
            bricked += 1
    return {"cuts": cuts, "pulses": value, "lost": lost, "doubled": doubled, "bricked": bricked}


def wear(kind, records):
    """Write long: no block is erased much more often than another."""
    board = Board(kind, 16)
    log = RingLog(board.flash(), lambda: 1)
    log.open()
    for _ in range(records):
        log.ack(log.append(b"x" * 100))
    return {"least": min(board.nor.erased), "most": max(board.nor.erased)}


def worn(_kind, blocks):
    """Some blocks keep nothing: the log goes on with the others."""
    board = Board("raw", 16)
    board.nor.worn = set(range(0, 16, 16 // blocks))
    log, told, gateway = RingLog(board.flash(), lambda: 1), [], Gateway()
    log.open()
    for number in range(400):
        told.append(b"%d:" % number + b"x" * 90)
        log.append(told[-1])
        for seq, since, payload in log.pending():
            log.ack(gateway.take(log.epoch, seq, since, payload))
    return {"lost": len(set(told)) - len(set(gateway.taken)), "worn": log.worn}


class Stuck:
    """Flash of which blocks, from some moment on, can neither be erased nor written: they keep what they held."""

    def __init__(self, flash):
        self._flash = flash
        self.blocks, self.size, self.stuck = flash.blocks, flash.size, set()
        self.begun, self.filled, self.read = flash.begun, flash.filled, flash.read

    def write(self, block, offset, data):
        if block in self.stuck:
            raise OSError(5)
        self._flash.write(block, offset, data)

    def erase(self, block):
        if block in self.stuck:
            raise OSError(5)
        self._flash.erase(block)


def stuck(_kind, records):
    """Blocks that get stuck with what they held: a start afterwards finds what the log knew before, in order."""
    flash = Stuck(Board("raw", 8).flash())
    log, wrong = RingLog(flash, lambda: 1), 0
    log.open()
    for number in range(records):
        log.append(b"%d:" % number + b"x" * 200)
        if number in (records // 3, records // 2):
            flash.stuck.add(random.randrange(8))
        if number % 7 == 0:
            log.ack(max(log.acked, log.next_seq - 60))
        again = RingLog(flash, lambda: 2)
        again.open()
        known = [(again.epoch, again.next_seq, again.acked)] + [seq for seq, _, _ in again.pending()]
        wrong += known != [(log.epoch, log.next_seq, log.acked)] + [seq for seq, _, _ in log.pending()]
    return {"wrong": wrong, "stuck": len(flash.stuck), "evicted": log.evicted}


def full(_kind, records):
    """The gateway is away for long: the oldest go, are counted, and the rest arrives."""
    board, gateway, told = Board("raw", 8), Gateway(), []
    log = RingLog(board.flash(), lambda: 1)
    log.open()
    for number in range(records):
        told.append(b"%d:" % number + b"x" * 100)
        log.append(told[-1])
    for seq, since, payload in log.pending():
        log.ack(gateway.take(log.epoch, seq, since, payload))
    kept = len(gateway.taken)
    return {"evicted": log.evicted, "kept": kept, "newest": gateway.taken == told[-kept:], "backlog": log.backlog}


def _fill(path):
    """Write into a file until there is no room; return how much went into it."""
    size = 0
    try:
        with open(path, "wb") as file:
            while True:
                file.write(b"x" * 256)
                file.flush()
                size += 256
    except OSError:
        return size


def crowded(_kind, records):
    """Somebody fills the file system to its last byte: log and count go on with what they have, and recover."""
    board, gateway, told, refused, wrong = Board("folder", 48), Gateway(), [], 0, 0
    board.flash()

    def opened():
        log = RingLog(FolderFlash("/flash/ring", 32), lambda: 1)
        log.open()
        return log

    log, count = opened(), Counter(Saved(FolderFlash("/flash/count", 2)), 1)
    count.load()
    filled = 0
    for number in range(records):
        if number == records // 3:
            filled = _fill("/flash/filler")
        payload = b"%d:" % number + b"x" * 100
        try:
            log.append(payload)
            told.append(payload)
        except NodeError:
            refused += 1
        try:
            count.add(1)
        except NodeError:
            pass
        if number % 50 == 49:
            known, log = (log.next_seq, [seq for seq, _, _ in log.pending()]), opened()
            wrong += known[1] != [seq for seq, _, _ in log.pending()] or log.next_seq < known[0]
    crowded_by = len(told)
    os.remove("/flash/filler")
    told.append(b"after")
    log.append(told[-1])
    kept_count = count.keep()
    for seq, since, payload in log.pending():
        log.ack(gateway.take(log.epoch, seq, since, payload))
    again = Counter(Saved(FolderFlash("/flash/count", 2)), 1)
    again.load()
    kept = gateway.taken
    return {
        "filled": filled,
        "told": crowded_by,
        "refused": refused,
        "wrong": wrong,
        "kept": len(kept),
        "newest": kept == told[-len(kept) :],
        "count": [kept_count, again.value],
    }


def _program(number):
    """Return the files of a program: some are the same in every one, some change."""
    return {
        "linli_app/main.mpy": b"main %d " % number * 150,
        "linli_app/same.mpy": b"same " * 400,
        "linli_node/part.mpy": b"part %d " % (number // 3) * 60,
    }


def _manifest(files, number):
    named = {
        name: [len(data), binascii.hexlify(hashlib.sha256(data).digest()).decode()] for name, data in files.items()
    }
    return json.dumps({"board": "desktop", "number": number, "files": named}).encode()


def _whole(root, slot):
    """Tell which program stands whole in a slot; ``None`` if none does."""
    try:
        with open(root + "/" + slot + "/linli_app/main.mpy", "rb") as file:
            number = int(file.read().split()[1])
        for name, data in _program(number).items():
            with open(root + "/" + slot + "/" + name, "rb") as file:
                if file.read() != data:
                    return None
    except (OSError, ValueError, IndexError):
        return None
    return number


def _flash_first(root):
    for name, data in _program(0).items():
        path = root + "/a"
        for part in [""] + name.split("/")[:-1]:
            path = path + "/" + part if part else path
            try:
                os.mkdir(path)
            except OSError:
                pass
        with open(root + "/a/" + name, "wb") as file:
            file.write(data)


def _updated(taking, number, sent):
    files = _program(number)
    taking.begin(_manifest(files, number), b"", b"", "desktop")
    while True:
        missing = taking.missing()
        if not missing:
            taking.finish()
            return
        for name, offset in missing:
            done = False
            while not done:
                data = files[name][offset : offset + 256]
                sent[0] += len(data)
                done = taking.chunk(name, offset, data)
                offset += len(data)


def update(kind, cuts):
    """Cut the power during updates; every start finds a whole program, the old one or the new one."""
    del kind
    from linli_node import taking as module
    from linli_node.slots import Slots

    # What a signature costs is tried elsewhere: here it would be computed a thousand times.
    module._verify = lambda key, message, signature, step: True
    board = Board("folder", 64)
    board.flash()
    _flash_first("/flash")
    bricked = lost = healthy = updates = 0
    sent, number = [0], 1
    for _ in range(cuts):
        board.flash()
        board.nor.budget = random.randrange(1, random.choice((200, 3000, 12000)))
        try:
            slots = Slots("/flash")
            started = slots.start()
            if _whole("/flash", started) is None:
                bricked += 1
                break
            state = slots.state()
            # Every third program is one that reaches nobody: it is never proven.
            if state["trial"] is not None and state["number"] % 3 and random.random() < 0.7:
                slots.proven()
                healthy = state["number"]
            state = slots.state()
            # Not back behind what has proven itself.
            lost += state["trial"] is None and _whole("/flash", state["active"]) < healthy
            if state["trial"] is not None:
                continue  # it runs, and has not proven itself
            number = state["number"] + 1
            _updated(module.Taking(slots), number, sent)
            updates += 1
        except PowerCut:
            pass
        finally:
            board.nor.budget = -1
    board.flash()
    slots = Slots("/flash")
    bricked += _whole("/flash", slots.start()) is None
    return {"cuts": cuts, "updates": updates, "lost": lost, "doubled": 0, "bricked": bricked, "sent": sent[0]}


_PARTS = {
    "update": update,
    "ring": ring,
    "counter": counter,
    "wear": wear,
    "worn": worn,
    "stuck": stuck,
    "full": full,
    "crowded": crowded,
}


def main(path):
    """Run what a file asks for: a list of ``[part, kind, count]``, and a seed."""
    with open(path) as file:
        asked = json.load(file)
    random.seed(asked["seed"])
    print(json.dumps([_PARTS[part](kind, count) for part, kind, count in asked["parts"]]))


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
