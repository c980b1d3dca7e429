"""The monthly report of an area, on paper: the platform is asked, figures are made, and written as HTML and PDF.

``material`` asks, ``figures`` reckons (pure), ``story`` says it in a language as a ``document`` of few kinds of blocks,
``web_page`` and ``pdf`` write that down. Charts are ``drawing``s: lines, boxes and words, vectors in both.
"""
