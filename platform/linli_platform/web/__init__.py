"""The pages people open: server-rendered, Chinese and English, phone first, live by server-sent events."""

from linli_platform.web.pages import Pages

__all__ = ["Pages"]
