"""The parts of a node that touch nothing outside themselves: they run on a board, on the desktop and in a browser."""
