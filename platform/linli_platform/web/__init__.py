"""The pages people open: server-rendered, Chinese and English, phone first, live by server-sent events."""

# Pages and API are one application: whichever is imported first, the API's package is loaded before any page.
import linli_platform.api  # noqa: F401
