"""Inputs that want to break the reader: files, folders and names, as data for any face.

A kind builds one model in an empty folder and says what must come of it. `servable` ones are
plain files and folders, so a Hub double can serve them too.
"""

from tests.hostile.contents import CONTENTS
from tests.hostile.folders import FOLDERS
from tests.hostile.headers import HEADERS
from tests.hostile.ids import HOSTILE_IDS
from tests.hostile.kind import Kind

KINDS: dict[str, Kind] = {**HEADERS, **CONTENTS, **FOLDERS}

__all__ = ["CONTENTS", "FOLDERS", "HEADERS", "HOSTILE_IDS", "KINDS", "Kind"]
