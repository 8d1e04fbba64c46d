//! The `pycfs` binary: dispatches to the command line in the library.

fn main() -> std::process::ExitCode {
    pycfs::cli::main(std::env::args_os())
}
