"""The pure modules, for a firmware build that freezes them; ``linli-edge node build`` needs no firmware build."""

package("linli_node", opt=3)  # noqa: F821 - a word of the manifest's language
