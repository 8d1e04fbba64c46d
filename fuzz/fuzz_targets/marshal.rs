//! The marshal reader: any bytes are a graph or an error, and what reads is written back the same.
//!
//! The first byte of the input picks the version; the others are the marshal data.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pycfs::pyc::marshal::{CodeNumber, Value, read, write};
use pycfs::pyc::{Target, Template, diff, lines, normalise};

fuzz_target!(|input: &[u8]| {
    let Some((&first, data)) = input.split_first() else {
        return;
    };
    let Some(target) = Target::from_minor(6 + first % 10) else {
        return;
    };
    if let Ok(graph) = read(target, data) {
        let root = graph.root().unwrap();
        assert_eq!(write(&graph, root).as_deref(), Ok(data));
        normalise::digest(&graph).unwrap();
        assert!(diff::differences(&graph, &graph, 3).is_empty());
        for (_, object) in graph.iter() {
            if let Value::Code(code) = &object.value {
                let first_line = code.number(CodeNumber::FirstLineNo).unwrap();
                for (_, field) in code.fields() {
                    if let Some(Value::Bytes(bytes)) = graph.value(field) {
                        let _ = lines::read_line_table(target, first_line, bytes);
                    }
                }
            }
        }
    }
    if let Ok(template) = Template::cut(target, data, b"<hole>") {
        assert_eq!(template.fill(b"<hole>"), data);
        assert_eq!(template.verify(target), Ok(()));
    }
});
