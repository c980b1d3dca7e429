"""Flash as one life of a program sees it, for checks that cut many lives in one process."""


class Life:
    """The flash as one life of a program sees it: after a power cut nothing of that life reaches it any more.

    Without it, files that the cut left open would be closed, and written, when their objects are collected.
    """

    def __init__(self, nor):
        self._nor = nor
        self._over = False

    def end(self):
        """The power is gone."""
        self._over = True

    def readblocks(self, block, buffer, offset=0):
        """Fill a buffer."""
        return 0 if self._over else self._nor.readblocks(block, buffer, offset)

    def writeblocks(self, block, buffer, offset=None):
        """Clear bits."""
        return 0 if self._over else self._nor.writeblocks(block, buffer, offset)

    def ioctl(self, operation, argument):
        """Answer what a block device is asked."""
        return 0 if self._over else self._nor.ioctl(operation, argument)
