"""Times as the page tells them."""

import pytest

from service.pages.templating import ENVIRONMENT


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than 1 s"),
        (1.4, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7140, "119 min"),
        (7200, "2 h 0 min"),
        (12158, "3 h 23 min"),
    ],
)
def test_a_duration(seconds, text):
    assert ENVIRONMENT.from_string("{{ seconds|duration }}").render(seconds=seconds) == text
