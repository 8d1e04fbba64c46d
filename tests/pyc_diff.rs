//! Normal forms, line tables and the differ against the interpreters.

mod common;

use std::collections::HashMap;

use common::{compile_library, interpreters};
use pycfs::pyc::marshal::{Graph, read};
use pycfs::pyc::{diff, lines, normalise};

#[test]
fn the_hash_seed_changes_bytes_up_to_3_10_and_never_the_normal_form() {
    for (target, python) in interpreters() {
        let mut expected = HashMap::new();
        compile_library(&python, "1", "60", |path, _, data| {
            let digest = normalise::digest(&read(target, data).unwrap()).unwrap();
            expected.insert(path.to_owned(), (digest, data.to_owned()));
        });
        let mut digests: Vec<_> = expected.values().map(|(digest, _)| *digest).collect();
        let mut same_bytes = 0;
        compile_library(&python, "2", "60", |path, _, data| {
            let graph = read(target, data).unwrap();
            let (digest, other) = &expected[path];
            let other_graph = read(target, other).unwrap();
            assert_eq!(
                diff::first_difference(&graph, &other_graph),
                None,
                "{target} {path}"
            );
            assert_eq!(normalise::digest(&graph), Some(*digest), "{target} {path}");
            same_bytes += usize::from(other == data);
        });
        // From 3.11 on the bytes are deterministic as well.
        assert!(
            target.minor() < 11 || same_bytes == expected.len(),
            "{target}: {same_bytes} of {} the same bytes",
            expected.len()
        );
        // Different sources have different digests, but for the empty ones.
        digests.sort_unstable();
        digests.dedup();
        assert!(digests.len() > expected.len() * 3 / 4, "{target}");
    }
}

#[test]
fn line_tables_read_as_the_interpreters_read_them() {
    const SCRIPT: &str = r#"
import dis, json, os, sys, types, warnings
warnings.simplefilter('ignore')
def positions(code):
    if hasattr(code, 'co_positions'):
        return [list(position) for position in code.co_positions()]
    count = len(code.co_code) // 2
    if hasattr(code, 'co_lines'):
        lines = [None] * count
        for start, end, line in code.co_lines():
            lines[start // 2:end // 2] = [line] * ((end - start) // 2)
    else:
        lines, line = [], None
        starts = dict(dis.findlinestarts(code))
        for unit in range(count):
            line = starts.get(unit * 2, line)
            lines.append(line)
    return [[line, None, None, None] for line in lines]
def visit(code):
    table = code.co_linetable if hasattr(code, 'co_linetable') else code.co_lnotab
    print(json.dumps([code.co_firstlineno, table.hex(), positions(code)]))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            visit(constant)
library = os.path.dirname(os.__file__)
for name in ('ast.py', 'argparse.py', 'asyncio/tasks.py', 'typing.py', 'turtle.py'):
    with open(os.path.join(library, name), 'rb') as file:
        visit(compile(file.read(), name, 'exec', dont_inherit=True))
# Steps of more than 127 lines and columns over 255, and back again.
visit(compile('x = (\n' + '\n' * 1000 + 'f(y)\n)' + '; z = 1' * 90, 'm', 'exec'))
"#;
    type Row = (i32, String, Vec<[Option<i32>; 4]>);
    for (target, python) in interpreters() {
        let output = common::run_script(&python, SCRIPT, &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut codes = 0;
        for row in text.lines() {
            let (first_line, table, expected): Row = serde_json::from_str(row).unwrap();
            let table = common::from_hex(&table);
            let locations = lines::read_line_table(target, first_line, &table).unwrap();
            for (unit, expected) in expected.iter().enumerate() {
                let location = lines::location_at(&locations, unit as u32 * 2);
                let found = location.map_or([None; 4], |location| {
                    [
                        location.line,
                        location.end_line,
                        location.column,
                        location.end_column,
                    ]
                });
                assert_eq!(found, *expected, "{target}, offset {}", unit * 2);
            }
            codes += 1;
        }
        assert!(codes > 500, "{target}: {codes} code objects");
    }
}

#[test]
fn the_differ_names_the_field_and_the_line() {
    const SCRIPT: &str = r#"
import marshal, sys
for source in sys.argv[1:]:
    print(marshal.dumps(compile(source, 'm.py', 'exec')).hex())
"#;
    let sources = [
        "class C:\n    def f(self):\n        x = 1\n        return x + self\n",
        "class C:\n    def f(self):\n        x = 1\n        return x - self\n",
        "class C:\n    def f(self):\n        x = 1\n        return x + that\n",
        "class C:\n    def f(self):\n        x = 1\n\n        return x + self\n",
        "class C:\n    def f(self):\n        x = 'abc', 7000\n        return x + self\n",
        "class C:\n    def f(self):\n        x = 'abc', 7001\n        return x + self\n",
        "class C:\n    def f(self):\n        x = 1\n        return x + self\n\nC()\n",
    ];
    for (target, python) in interpreters() {
        let output = common::run_script(&python, SCRIPT, &sources);
        let text = String::from_utf8(output.stdout).unwrap();
        let data: Vec<Vec<u8>> = text.lines().map(common::from_hex).collect();
        let graphs: Vec<Graph> = data
            .iter()
            .map(|data| read(target, data).unwrap())
            .collect();
        let first = |left: usize, right: usize| {
            diff::first_difference(&graphs[left], &graphs[right]).unwrap()
        };
        for (at, graph) in graphs.iter().enumerate() {
            assert_eq!(diff::first_difference(graph, &graphs[at]), None);
        }

        let operator = first(0, 1);
        assert_eq!(operator.code, "<module>.C.f", "{target}");
        assert!(
            operator.field.starts_with("co_code at offset "),
            "{operator}"
        );
        assert_eq!(operator.line, Some(4), "{target} {operator}");

        let name = first(0, 2);
        assert_eq!(name.code, "<module>.C.f", "{target}");
        assert_eq!(name.line, Some(4), "{target} {name}");

        // From 3.11 the last line of the class statement, in the module, changes as well.
        let line = diff::differences(&graphs[0], &graphs[3], 9).pop().unwrap();
        assert_eq!(line.code, "<module>.C.f", "{target}");
        assert!(line.field.starts_with("co_linetable for offset "), "{line}");
        assert_eq!(line.line, Some(5), "{target} {line}");

        let constant = first(4, 5);
        assert_eq!(constant.code, "<module>.C.f", "{target}");
        assert_eq!(
            (constant.left.as_str(), constant.right.as_str()),
            ("7000", "7001")
        );
        assert!(
            constant.field.starts_with("co_consts["),
            "{target} {constant}"
        );
        assert_eq!(constant.line, Some(2), "{target} {constant}");

        assert_eq!(first(0, 6).code, "<module>", "{target}");
        assert_eq!(
            diff::differences(&graphs[0], &graphs[6], 9).len(),
            1,
            "{target}"
        );
    }
}
