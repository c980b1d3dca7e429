"""A few bytes in memory that outlasts deep sleep, and on flash only now and then: what a power cut may set back."""


class Noted:
    """Kept like :class:`linli_node.saved.Saved`, but for most of it not on flash.

    Args:
        saved: Where it is kept on flash.
        memory: Outlasts deep sleep.
        every: How many times it is only noted before it is written.
    """

    def __init__(self, saved, memory, every):
        self._saved = saved
        self._memory = memory
        self._every = every

    def load(self):
        """Return what was kept last."""
        noted = bytes(self._memory.get())
        # What is written is at least as old as what is noted; a power cut takes the note.
        kept = self._saved.load()
        return noted[1:] if len(noted) > 1 else kept

    def save(self, content):
        """Keep bytes."""
        noted = bytes(self._memory.get())
        left = noted[0] if noted else 0
        if left == 0:
            self._saved.save(content)
            left = self._every
        if not self._memory.set(bytes([left - 1]) + content):
            self._saved.save(content)
