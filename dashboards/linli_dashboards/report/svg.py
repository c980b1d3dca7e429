"""A drawing as SVG, to stand within HTML."""

from html import escape

from linli_dashboards.report.drawing import Box, Drawing, Line, Shape

_POINT_MM = 25.4 / 72


def as_svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG element; one millimetre is one unit."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width:g} {drawing.height:g}" role="img" '
        f'aria-label="{escape(drawing.told)}">'
    )
    return "".join((head, *map(_shape, drawing.shapes), "</svg>"))


def _shape(shape: Shape) -> str:
    if isinstance(shape, Box):
        return (
            f'<rect x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.width:.2f}" height="{shape.height:.2f}" '
            f'fill="{shape.fill}"/>'
        )
    if isinstance(shape, Line):
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
        dash = f' stroke-dasharray="{shape.dash:g}"' if shape.dash else ""
        return (
            f'<polyline points="{points}" fill="none" stroke="{shape.stroke}" stroke-width="{shape.width:g}" '
            f'stroke-linejoin="round"{dash}/>'
        )
    weight = ' font-weight="bold"' if shape.bold else ""
    return (
        f'<text x="{shape.x:.2f}" y="{shape.y:.2f}" font-size="{shape.size * _POINT_MM:.2f}" fill="{shape.fill}" '
        f'text-anchor="{shape.anchor}"{weight}>{escape(shape.text)}</text>'
    )
