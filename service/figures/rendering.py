"""A figure in the format that is asked for."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, get_args

from analyzer.version import tailora_version
from service.figures import drawing
from service.figures.drawing import WidthName
from service.figures.echarts import option
from service.figures.figure import Figure
from service.figures.palette import ThemeName

FormatName = Literal["json", "echarts", "csv", "svg", "png", "pdf"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

MEDIA_TYPES: dict[FormatName, str] = {
    "json": "application/json",
    "echarts": "application/json",
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a figure is made into: theme and width act where they can."""

    format: FormatName = "json"
    theme: ThemeName = "light"
    width: WidthName = "double"

    @property
    def drawn(self) -> bool:
        """Whether matplotlib draws it, which takes a moment."""
        return self.format in get_args(drawing.Format)

    @property
    def media_type(self) -> str:
        """For HTTP."""
        return MEDIA_TYPES[self.format]

    def key(self, figure: Figure) -> str:
        """What stands for the bytes: 64 hex digits."""
        own = [figure.model_dump(mode="json"), self.format, self.theme, self.width]
        content = json.dumps([*own, tailora_version()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def check(self) -> None:
        """Raise FormatUnavailable where a library is missing."""
        if self.drawn:
            drawing.check_drawing()

    def render(self, figure: Figure) -> bytes:
        """The file. Raises FormatUnavailable."""
        if self.format == "json":
            return figure.model_dump_json(indent=2).encode() + b"\n"
        if self.format == "echarts":
            text = json.dumps(option(figure, theme=self.theme, width=self.width), allow_nan=False)
            return text.encode()
        if self.format == "csv":
            return figure.to_csv().encode()
        return drawing.draw(figure, self.format, theme=self.theme, width=self.width)
