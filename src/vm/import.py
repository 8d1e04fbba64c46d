# Runs once in the VM, when it starts. CPython's import system asks a loader's get_code for the code of a module; here
# the loader of source files asks the native functions first.


def install(external, cached_code, check_code):
    loader = external.SourceFileLoader
    find_for_itself = loader.get_code
    # Who overrides one of these gets what CPython's get_code makes of it.
    parts = ("get_filename", "get_data", "path_stats", "source_to_code", "_cache_bytecode", "set_data")
    ours = {part: getattr(loader, part) for part in parts}

    def get_code(self, fullname):
        cls = type(self)
        if cls is loader or all(getattr(cls, part) is ours[part] for part in parts):
            code = cached_code(self.get_filename(fullname))
            if code is not None:
                return code
        return find_for_itself(self, fullname)

    get_code.__qualname__ = find_for_itself.__qualname__
    get_code.__doc__ = find_for_itself.__doc__
    loader.get_code = get_code

    load = external._compile_bytecode

    def _compile_bytecode(data, name=None, bytecode_path=None, source_path=None):
        try:
            check_code(data)
        except ValueError as error:
            # What CPython raises for a pyc that is cut short or damaged.
            raise EOFError(str(error)) from None
        return load(data, name, bytecode_path, source_path)

    external._compile_bytecode = _compile_bytecode


def time_imports(bootstrap, clock, write):
    # -X importtime in CPython's form: when an import ends, its own time and the one with those within it, in
    # microseconds.
    find_and_load = bootstrap._find_and_load
    modules = bootstrap.sys.modules
    within = 0
    depth = 0

    def tell(own, whole, name):
        write(2, f"import time: {own:>9} | {whole:>10} | {'  ' * depth}{name}\n".encode("utf-8", "backslashreplace"))

    def _find_and_load(name, import_):
        nonlocal within, depth
        if modules.get(name) is not None:
            return find_and_load(name, import_)
        before, within = within, 0
        depth += 1
        start = clock()
        try:
            return find_and_load(name, import_)
        finally:
            whole = clock() - start
            depth -= 1
            tell((whole - within + 999) // 1000, (whole + 999) // 1000, name)
            within = before + whole

    bootstrap._find_and_load = _find_and_load
    write(2, b"import time: self [us] | cumulative | imported package\n")


def settle(gc):
    # What the start made lives until the end: no collection has to look at it. RustPython's collections cost more than
    # CPython's, and an application's imports make little but what stays: fewer of them save 12 % of its start-up.
    gc.freeze()
    gc.set_threshold(50_000)
