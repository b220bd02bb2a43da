"""Tables about one partition that a notebook shows as a chart."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
from markupsafe import Markup

from steps.charts.standalone import data_image


@dataclass(frozen=True)
class Chart:
    """Rows of a result table with their chart.

    Attributes:
        title: title of the chart.
        table: rows that the chart shows.
        svg: the chart as an SVG file.
    """

    title: str
    table: pa.Table
    svg: str = field(repr=False)

    def _repr_html_(self) -> str:
        image = data_image(self.svg, self.title)
        return str(
            Markup("<figure><figcaption>{}</figcaption>{}</figure>").format(self.title, image)
        )
