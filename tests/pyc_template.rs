//! Templates against what each interpreter compiles under the real file name.

mod common;

use std::fs;

use common::{interpreters, run_script, to_hex};
use pycfs::pyc::{CutError, Template};

/// Compiles sources and writes the marshal data to `OUT/SOURCE.NAME`: the given files, under each
/// name, then a sample of the standard library, under the first two names and one of the others.
const COMPILE: &str = r#"
import marshal, os, sys, warnings
warnings.simplefilter('ignore')
out, given, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
names = [os.fsdecode(bytes.fromhex(name)) for name in sys.argv[4:]]
library = os.path.dirname(os.__file__)
files = sorted(os.path.join(library, f) for f in os.listdir(library) if f.endswith('.py'))
files = files[::max(1, len(files) // count)][:count]
files = sorted(os.path.join(given, f) for f in os.listdir(given)) + files
sources = [open(file, 'rb').read() for file in files]
given_count = len(os.listdir(given))
for number, source in enumerate(sources):
    compile(source, 'warm up', 'exec', dont_inherit=True, optimize=0)
    for which, name in enumerate(names):
        if number >= given_count and which not in (0, 1, 2 + number % (len(names) - 2)):
            continue
        data = marshal.dumps(compile(source, name, 'exec', dont_inherit=True, optimize=0))
        with open(os.path.join(out, '%d.%d' % (number, which)), 'wb') as file:
            file.write(data)
print(len(sources))
"#;

const TRICKY: [(&str, &str); 7] = [
    (
        "real_name_as_constant.py",
        "x = '/srv/app/m.py', 'm.py'\ndef f(): return '/srv/app/m.py'\n",
    ),
    ("empty.py", ""),
    ("one.py", "x = 1\n"),
    (
        "name_as_constant.py",
        "x = '<hole>'\ny = ['<hole>', b'<hole>']\ndef f(): return '<hole>'\n",
    ),
    (
        "nested.py",
        "class A:\n class B:\n  class C:\n   def f(self):\n    return [lambda: (yield) for x in y]\n",
    ),
    (
        "constants.py",
        "a = 1, 2.5, 3j, 10**30, -1, b'b', 'é\\ud800', None, ..., True\nb = x in {1, 'two', (3,)}\nc = x[1:2], x[::3]\n",
    ),
    (
        "long.py",
        "'''doc'''\nx = (1, 'a', 2) + ('b',)\ndef f(a, *b, c=1, **d):\n \"doc\"\n global x\n x = a\n",
    ),
];

const PLACEHOLDER: &[u8] = b"<hole>";

#[test]
fn a_filled_template_is_what_the_compiler_gives_for_that_name() {
    let long = [b"/", "d".repeat(300).as_bytes(), b"/m.py"].concat();
    let names: [&[u8]; 8] = [
        PLACEHOLDER,
        b"/srv/app/m.py",
        b"m.py",
        &long[..255],
        &long[..256],
        "/srv/naïve/𝄞.py".as_bytes(),
        b"/srv/latin-\xe9\xff/\xe2\x82.py",
        &long,
    ];
    let names_hex: Vec<String> = names.iter().map(|name| to_hex(name)).collect();
    let given = tempfile::tempdir().unwrap();
    for (name, source) in TRICKY {
        fs::write(given.path().join(name), source).unwrap();
    }
    for (target, python) in interpreters() {
        let out = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            out.path().to_str().unwrap(),
            given.path().to_str().unwrap(),
            "60",
        ];
        arguments.extend(names_hex.iter().map(String::as_str));
        let output = run_script(&python, COMPILE, &arguments);
        let count: usize = String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(count > 50, "{target}: {count} sources");
        let mut compared = 0;
        for number in 0..count {
            let path = |which| out.path().join(format!("{number}.{which}"));
            let read = |which| fs::read(path(which)).unwrap();
            let template = Template::cut(target, &read(0), PLACEHOLDER)
                .unwrap_or_else(|error| panic!("{target}, source {number}: {error}"));
            assert_eq!(template.verify(target), Ok(()));
            for (which, name) in names.iter().enumerate() {
                if !path(which).exists() {
                    continue;
                }
                compared += 1;
                let filled = template.fill(name);
                assert_eq!(filled.len(), template.filled_len(name));
                assert!(
                    filled == read(which),
                    "{target}, source {number}, name {}",
                    name.escape_ascii()
                );
            }
            let parts = template.to_parts();
            let again = Template::from_parts(
                parts.bytes.to_owned(),
                parts.hole,
                parts.flag_ref,
                parts.interned,
            );
            assert_eq!(again.as_ref(), Ok(&template));
            let misplaced = Template::from_parts(
                parts.bytes.to_owned(),
                parts.hole + 1,
                parts.flag_ref,
                parts.interned,
            );
            assert!(misplaced.unwrap().verify(target).is_err());
            assert_eq!(
                Template::cut(target, &read(1), PLACEHOLDER),
                Err(CutError::OtherFileName)
            );
        }
        let of_given = TRICKY.len() * names.len();
        assert_eq!(compared, of_given + (count - TRICKY.len()) * 3);
    }
}
