"""The built-in templates, from the folder that is shipped beside the packages. Shell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import reconciler
from reconciler.observing.folder import read_files
from schemas.layout import TEMPLATES


@cache
def builtin_templates() -> Mapping[str, bytes]:
    """Read the built-in templates, once a process: they change only with the program itself."""
    beside = Path(reconciler.__file__).parent.parent / TEMPLATES
    files = read_files(beside) if beside.is_dir() else {}
    return {f"{TEMPLATES}/{path}": content for path, content in files.items()}
