"""`python -m sweeps VERB`: one module a verb, imported only when its verb is asked for.

A verb's module has `add_arguments(parser)` and `run(args) -> exit status`. Statuses: 0 all is well,
1 something failed or is missing, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

VERBS = {
    "submit": "sweeps.submit",
    "status": "sweeps.status",
    "retry": "sweeps.retry",
    "cancel": "sweeps.cancel",
    "logs": "sweeps.logs",
    "search": "sweeps.search",
    "tables": "sweeps.tables",
    "figures": "sweeps.figures",
    "report": "sweeps.report",
}
HELP = {
    "submit": "plan a sweep, freeze its runs and queue what is new",
    "status": "one table of runs: state, progress, last loss, AP so far",
    "retry": "queue runs again that ended without a result",
    "cancel": "take runs out of the queue or stop them",
    "logs": "what a run has written",
    "search": "look for the best settings with Optuna",
    "tables": "Tables I, II, III and the README table",
    "figures": "curves, heat maps, samples",
    "report": "one self-contained page",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; every foreseen error is one line on stderr (YOLACTPP_TRACEBACK=1 shows all)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m sweeps", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    subparsers = {verb: verbs.add_parser(verb, help=HELP[verb]) for verb in VERBS}
    if not arguments or arguments[0] not in VERBS:
        parser.parse_args(arguments)
    verb = importlib.import_module(VERBS[arguments[0]])
    verb.add_arguments(subparsers[arguments[0]])
    # Overrides may stand on both sides of a flag: retry FOLDER --only timeout timeout_min=600.
    args = subparsers[arguments[0]].parse_intermixed_args(arguments[1:])
    try:
        return int(verb.run(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `| head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("YOLACTPP_TRACEBACK"):
            traceback.print_exc()
        print(f"sweeps {arguments[0]}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
