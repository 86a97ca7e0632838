"""Answers of the programs beside this file: JSON lines on stdout, which they have for themselves once this is imported.

Import it before anything that may print: whatever a library prints goes to stderr.
"""

import json
import os
import resource

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**fields):
    _answers.write(json.dumps(fields) + "\n")
    _answers.flush()


def busy_seconds():
    """Processor seconds that this process has used, over all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
