"""What pytest leaves out where an optional dependency is missing."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("sklearn") else ["merextras/sklearn.py"]
