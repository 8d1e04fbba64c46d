# The worker: runs inside the target interpreter (CPython 3.6 to 3.15) as its main program, compiles what
# comes on the descriptor in sys.argv and answers marshalled code or a refusal. protocol.rs has the frames.
# Each module that is loaded here can change the marshalled bytes (a name that is interned by somebody
# else is another object), so only what the interpreter has in itself is imported. A teller, which words
# error messages and knows every codec, loads more and is asked only when a plain worker refused.
import sys, marshal, posix, _io, _signal, _warnings, _codecs
import _frozen_importlib_external as importer
import unicodedata  # non-ASCII identifiers and \N{} need it, when the library may be out of reach


def become(uid, gid):
    posix.setgroups([])
    posix.setresgid(gid, gid, gid)
    posix.setresuid(uid, uid, uid)
    if posix.getresuid() != (uid, uid, uid) or posix.getresgid() != (gid, gid, gid):
        raise PermissionError('the user did not change')


def load_codecs():
    # Those that a source can be written in; not those that are no text or load half the library.
    from encodings import aliases
    skip = ('base64_codec', 'bz2_codec', 'hex_codec', 'quopri_codec', 'uu_codec', 'zlib_codec', 'idna')
    names = set(aliases.aliases.values())
    names.update(('raw_unicode_escape', 'unicode_escape', 'utf_8_sig', 'cp65001'))
    for codec in names.difference(skip):
        try:
            __import__('encodings.' + codec)
        except Exception:
            pass


def load_teller():
    load_codecs()
    import py_compile, tokenize
    # Formatting loads modules as it goes: have them all before the library is out of reach.
    for sample in (b'a b\n', b'fro x in y: pass\n', b' x\n', b'return\n', b'"\xff"\n'):
        try:
            compile(sample, 'sample', 'exec', dont_inherit=True)
        except SyntaxError as error:
            py_compile.PyCompileError(type(error), error, 'sample')
    return py_compile.PyCompileError


def source_line(source, number):
    # What the interpreter shows of a file when it can read it by its name: up to 999 bytes, since
    # gh-124188 the line's start in the source's encoding, before that its end, if that is UTF-8.
    line = source.replace(b'\r\n', b'\n').replace(b'\r', b'\n').split(b'\n', number)[number - 1:]
    if not line:
        return None
    line = b'\n'.join([line[0], b'']) if len(line) > 1 else line[0]
    version = sys.version_info[:3]
    if version < (3, 12, 7) or version == (3, 13, 0):
        try:
            return line[(len(line) - 1) // 999 * 999:].decode('utf-8')
        except UnicodeDecodeError:
            return None
    import io, tokenize
    encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    if number == 1 and line.startswith(b'\xef\xbb\xbf'):
        line = line[3:]
    return line[:999].decode(encoding, 'replace')


def tell(error_class, error, source, placeholder, name):
    if isinstance(error, SyntaxError):
        if error.text is None and error.lineno and error.lineno > 0 and error.filename == placeholder:
            try:
                error.text = source_line(source, error.lineno)
            except Exception:
                pass
        if error.filename == placeholder:
            error.filename = name
    return error_class(type(error), error, name).msg


def short(error):
    if isinstance(error, SyntaxError):
        return '%s: %s (line %s)' % (type(error).__name__, error.msg, error.lineno)
    return '%s: %s' % (type(error).__name__, error)


def main(argv):
    fd, uid, gid, flagged, teller = [int(number) for number in argv[1:6]]
    placeholder = argv[6]
    stream = _io.open(fd, 'rb', 1 << 16)
    read = stream.read
    write = _io.FileIO(fd, 'wb', closefd=False).write
    from_bytes, alarm = int.from_bytes, _signal.alarm

    def answer(number, status, body):
        frame = b''.join(((len(body) + 5).to_bytes(4, 'little'), number.to_bytes(4, 'little'), status, body))
        done = write(frame)
        while done < len(frame):
            done += write(memoryview(frame)[done:])

    try:
        error_class = load_teller() if teller else None
        if uid >= 0:
            become(uid, gid)
    except Exception as error:
        answer(0, b'F', short(error).encode('utf-8', 'backslashreplace'))
        return

    # Nobody reads a warning, and none may become an error.
    _warnings.filters.insert(0, ('ignore', None, Warning, None, 0))
    _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
    # Asked after the library's own search has failed: this worker is not the one to judge that source.
    unknown = []
    _codecs.register(unknown.append)

    about = (sys.implementation.name, '%d.%d' % sys.version_info[:2], str(from_bytes(importer.MAGIC_NUMBER[:2], 'little')),
             sys.implementation.cache_tag or '', getattr(sys, 'abiflags', ''), sys.version, sys.executable or '')
    answer(0, b'H', '\0'.join(about).encode('utf-8', 'surrogateescape'))

    while True:
        head = read(16)
        if len(head) != 16:
            return
        length, number = from_bytes(head[0:4], 'little'), from_bytes(head[4:8], 'little')
        level, telling = head[8], head[9]
        seconds, named = from_bytes(head[10:12], 'little'), from_bytes(head[12:16], 'little')
        name = read(named)
        source = read(length - 12 - named)
        if len(source) != length - 12 - named:
            return
        # The daemon ends a worker that is late. Should it be gone itself, the kernel does.
        alarm(seconds)
        del unknown[:]
        try:
            code = [compile(source, placeholder, 'exec', dont_inherit=True, optimize=level)]
            # The root's FLAG_REF says whether anybody else held the code object while it was written.
            if flagged:
                body = marshal.dumps(code[0])
            else:
                body = marshal.dumps(code.pop())
            status = b'C'
        except MemoryError as error:
            status = b'M'
            body = b''
            if telling and teller:
                body = tell(error_class, error, source, placeholder, name.decode('utf-8', 'surrogateescape'))
        except Exception as error:
            status = b'E' if teller or not unknown else b'U'
            if telling and teller:
                body = tell(error_class, error, source, placeholder, name.decode('utf-8', 'surrogateescape'))
            else:
                body = short(error)
        code = source = None
        if type(body) is str:
            body = body.encode('utf-8', 'backslashreplace')
        answer(number, status, body)
        body = None
        alarm(0)


main(sys.argv)
