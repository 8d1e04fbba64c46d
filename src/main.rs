//! The `pycfs` binary: dispatches to the command line in the library.

fn main() {}
