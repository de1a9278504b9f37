"""What `python` does with its arguments, for `puff python`. Each function is the main greenlet."""

import builtins
import code
import contextlib
import os
import runpy
import sys
import types


def run_code(source, arguments):
    main = _enter(["-c", *arguments], "")
    exec(compile(source, "<string>", "exec"), main.__dict__)


def run_module(name, arguments):
    _enter(["-m", *arguments], os.getcwd())
    # As `python -m` itself does it: in the real `__main__`, with sys.argv[0] the file's full name.
    runpy._run_module_as_main(name)


def run_file(path, arguments):
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _enter([path, *arguments], None)
        runpy.run_path(path, run_name="__main__")
        return
    main = _enter([path, *arguments], os.path.dirname(os.path.realpath(path)))
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"puff: error: can't open file {path!r}: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    main.__file__ = path
    exec(compile(source, path, "exec"), main.__dict__)


def run_stdin(dash, arguments):
    main = _enter([dash, *arguments], "")
    if not sys.stdin.isatty():
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), main.__dict__)
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing, where Python has it)
    # Other greenlets run while a statement waits in Puff, and rest while the prompt waits for the user.
    code.interact(local=main.__dict__, exitmsg="")


def _enter(argv, folder):
    """Sets sys.argv, sys.path[0] and an empty `__main__`, which is returned."""
    sys.argv = argv
    if folder is not None:
        # The working directory, which Puff has put in front, gives way to what python would have there.
        if sys.path and sys.path[0] == os.getcwd():
            del sys.path[0]
        sys.path.insert(0, folder)
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main
