//! The command line of `pycfs run`: CPython's, and the VM's settings that come of it.
//!
//! Options end at the program (`-c`, `-m`, a file or `-`); what follows is the program's own. Ours
//! beside CPython's: `--site DIR`, `--store DIR`, `--no-store`, `-X pycfs_counters` and `-X pycfs_own`. What
//! CPython has and the VM lacks is accepted and does nothing, so that a script's shebang line works
//! with both.

use rustpython::vm::Settings;
use rustpython::vm::vm::CheckHashPycsMode;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// `-c`: this text.
    Command(String),
    /// `-m`: the module of this name.
    Module(String),
    /// The file at this path.
    Script(String),
    /// Standard input: a program, or a person.
    Stdin,
}

/// A command line that was understood.
pub(super) struct Parsed {
    /// The VM's settings.
    pub(super) settings: Settings,
    /// What is run.
    pub(super) program: Program,
    /// Directories of packages to add (`--site`).
    pub(super) sites: Vec<String>,
    /// The store's folder, if named; empty for no store.
    pub(super) store: Option<PathBuf>,
    /// Whether to tell at the end where code came from.
    pub(super) counters: bool,
    /// Whether no code but that of RustPython's own compiler is used, for comparisons.
    pub(super) own_compiler: bool,
    /// Whether to tell how long each import took (`-X importtime`).
    pub(super) import_time: bool,
}

/// Why nothing is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The command line asked for this text.
    Told(String),
    /// It makes no sense.
    Wrong(String),
}

const USAGE: &str = "\
usage: pycfs run [option] ... [-c cmd | -m mod | file | -] [arg] ...

Runs Python 3.14 code with the bundled VM (RustPython). Code comes from the mount's cache or the
store; nothing is written into the tree, and nothing of an installed Python is used.

-b          warn when bytes are compared with str (-bb: raise)
-B          set sys.dont_write_bytecode; also PYTHONDONTWRITEBYTECODE=x
-c cmd      program passed in as text (ends the options)
-E          ignore PYTHON* environment variables
-h          print this help; also --help
-i          go on interactively after the program; also PYTHONINSPECT=x
-I          isolated: implies -E, -P and -s
-m mod      run a module as a script (ends the options)
-O, -OO     without asserts, without docstrings; also PYTHONOPTIMIZE=x
-P          do not put the script's directory on sys.path; also PYTHONSAFEPATH
-q          no banner when interactive
-s          accepted: there is no user site directory
-S          do not import site
-u          unbuffered stdout and stderr; also PYTHONUNBUFFERED=x
-v          tell of imports; also PYTHONVERBOSE=x
-V          print the version; also --version
-W arg      control warnings; also PYTHONWARNINGS=arg
-X opt      dev, faulthandler, utf8[=0|1], no_debug_ranges, int_max_str_digits=N,
            warn_default_encoding, importtime (or PYTHONPROFILEIMPORTTIME=x);
            pycfs_counters: tell at the end where code came from;
            pycfs_own: only code that RustPython's own compiler makes
--check-hash-based-pycs always|default|never
--site DIR  add a directory of pure-Python packages; also PYTHONPATH
--store DIR keep compiled code in this directory
--no-store  neither read nor fill a store
file        a script, a directory or zip file with __main__.py, or a .pyc
-           program from standard input (the default; interactive on a terminal)
";

/// Reads the arguments that follow the program's name, and the environment.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Parsed, Stop> {
    let mut reader = Reader {
        rest: arguments.into(),
        given: Given::default(),
    };
    let (program, first) = reader.options()?;
    let mut argv = vec![first];
    argv.extend(reader.rest.iter().map(text));
    let mut settings = reader.given.settings()?;
    // An interactive session and one from standard input have an empty first argument.
    settings.argv = argv;
    let implementation = &reader.given.implementation;
    let asks = |name: &str| implementation.iter().any(|option| option == name);
    let (counters, own_compiler) = (asks("pycfs_counters"), asks("pycfs_own"));
    let ignored = settings.ignore_environment;
    let import_time = asks("importtime")
        || asks("importtime=1")
        || asks("importtime=2")
        || Environment { ignored }.is_set("PYTHONPROFILEIMPORTTIME");
    Ok(Parsed {
        settings,
        program,
        sites: reader.given.sites,
        store: reader.given.store,
        counters,
        own_compiler,
        import_time,
    })
}

fn text(argument: &OsString) -> String {
    argument.to_string_lossy().into_owned()
}

/// The options as they were given.
#[derive(Default)]
struct Given {
    bytes_warning: u8,
    dont_write_bytecode: bool,
    ignore_environment: bool,
    inspect: bool,
    isolated: bool,
    optimize: u8,
    safe_path: bool,
    quiet: bool,
    no_site: bool,
    unbuffered: bool,
    verbose: u8,
    warnings: Vec<String>,
    implementation: Vec<String>,
    hash_pycs: CheckHashPycsMode,
    sites: Vec<String>,
    store: Option<PathBuf>,
}

struct Reader {
    rest: std::collections::VecDeque<OsString>,
    given: Given,
}

impl Reader {
    /// Reads the options; the program and `sys.argv[0]`.
    fn options(&mut self) -> Result<(Program, String), Stop> {
        while let Some(argument) = self.rest.pop_front() {
            match argument.as_bytes() {
                b"-" => return Ok((Program::Stdin, "-".to_owned())),
                b"--" => continue,
                [b'-', b'-', ..] => self.long(&text(&argument))?,
                [b'-', ..] => {
                    if let Some(program) = self.short(&text(&argument))? {
                        return Ok(program);
                    }
                }
                _ => {
                    let path = text(&argument);
                    return Ok((Program::Script(path.clone()), path));
                }
            }
        }
        Ok((Program::Stdin, String::new()))
    }

    fn long(&mut self, argument: &str) -> Result<(), Stop> {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || -> Result<String, Stop> {
            value
                .clone()
                .or_else(|| self.rest.pop_front().map(|next| text(&next)))
                .ok_or_else(|| Stop::Wrong(format!("{name} needs a value")))
        };
        match name {
            "--help" | "--help-all" => return Err(Stop::Told(USAGE.to_owned())),
            "--version" => return Err(Stop::Told(version())),
            "--site" => {
                let site = value()?;
                self.given.sites.push(site);
            }
            "--store" => self.given.store = Some(PathBuf::from(value()?)),
            "--no-store" => self.given.store = Some(PathBuf::new()),
            "--check-hash-based-pycs" => {
                self.given.hash_pycs = value()?.parse().map_err(|_| {
                    Stop::Wrong(
                        "--check-hash-based-pycs must be one of 'default', 'always', or 'never'"
                            .to_owned(),
                    )
                })?;
            }
            _ => return Err(unknown(argument)),
        }
        Ok(())
    }

    /// Reads a word of one-letter options; the program if one of them names it.
    fn short(&mut self, word: &str) -> Result<Option<(Program, String)>, Stop> {
        let mut letters = word.strip_prefix('-').unwrap_or(word).chars();
        while let Some(letter) = letters.next() {
            let given = &mut self.given;
            match letter {
                'b' => given.bytes_warning = given.bytes_warning.saturating_add(1),
                'B' => given.dont_write_bytecode = true,
                'd' | 's' => {}
                'E' => given.ignore_environment = true,
                'h' | '?' => return Err(Stop::Told(USAGE.to_owned())),
                'i' => given.inspect = true,
                'I' => given.isolated = true,
                'O' => given.optimize = given.optimize.saturating_add(1),
                'P' => given.safe_path = true,
                'q' => given.quiet = true,
                // Hashes are random anyway.
                'R' => {}
                'S' => given.no_site = true,
                'u' => given.unbuffered = true,
                'v' => given.verbose = given.verbose.saturating_add(1),
                'V' => return Err(Stop::Told(version())),
                'c' | 'm' | 'W' | 'X' => {
                    let attached = letters.as_str().to_owned();
                    let value = match attached.is_empty() {
                        false => attached,
                        true => self
                            .rest
                            .pop_front()
                            .map(|next| text(&next))
                            .ok_or_else(|| {
                                Stop::Wrong(format!("argument expected for the -{letter} option"))
                            })?,
                    };
                    match letter {
                        'c' => {
                            return Ok(Some((Program::Command(dedent(&value)), "-c".to_owned())));
                        }
                        'm' => return Ok(Some((Program::Module(value), "-m".to_owned()))),
                        'W' => self.given.warnings.push(value),
                        _ => self.given.implementation.push(value),
                    }
                    return Ok(None);
                }
                _ => return Err(unknown(&format!("-{letter}"))),
            }
        }
        Ok(None)
    }
}

fn unknown(option: &str) -> Stop {
    Stop::Wrong(format!(
        "unknown option {option}\nTry 'pycfs run -h' for more information."
    ))
}

fn version() -> String {
    format!("Python {}\n", rustpython::vm::version::RUSTPYTHON_VERSION)
}

/// The environment as far as the options leave it.
struct Environment {
    ignored: bool,
}

impl Environment {
    /// A variable that is set and not empty.
    fn get(&self, name: &str) -> Option<String> {
        let value = std::env::var_os(name).filter(|value| !self.ignored && !value.is_empty())?;
        Some(text(&value))
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A count, or 1 for any other text.
    fn count(&self, name: &str) -> u8 {
        self.get(name).map_or(0, |value| value.parse().unwrap_or(1))
    }
}

impl Given {
    fn settings(&self) -> Result<Settings, Stop> {
        let ignored = self.isolated || self.ignore_environment;
        let environment = Environment { ignored };
        let mut settings = Settings::default();
        settings.isolated = self.isolated;
        settings.ignore_environment = ignored;
        settings.bytes_warning = self.bytes_warning.into();
        settings.import_site = !self.no_site;
        settings.optimize = self.optimize.max(environment.count("PYTHONOPTIMIZE"));
        settings.verbose = self.verbose.max(environment.count("PYTHONVERBOSE"));
        settings.debug = environment.count("PYTHONDEBUG");
        settings.quiet = self.quiet;
        // A user's site directory is that of an installed Python.
        settings.user_site_directory = false;
        settings.write_bytecode =
            !(self.dont_write_bytecode || environment.is_set("PYTHONDONTWRITEBYTECODE"));
        settings.safe_path =
            self.isolated || self.safe_path || environment.is_set("PYTHONSAFEPATH");
        settings.inspect = self.inspect || environment.is_set("PYTHONINSPECT");
        settings.interactive = self.inspect;
        settings.buffered_stdio = !(self.unbuffered || environment.is_set("PYTHONUNBUFFERED"));
        settings.check_hash_pycs_mode = self.hash_pycs;
        settings.faulthandler = environment.is_set("PYTHONFAULTHANDLER");
        settings.warn_default_encoding = environment.is_set("PYTHONWARNDEFAULTENCODING");
        settings.code_debug_ranges = !environment.is_set("PYTHONNODEBUGRANGES");
        // RustPython knows no other encoding of the system.
        settings.utf8_mode = if environment.get("PYTHONUTF8").as_deref() == Some("0") {
            0
        } else {
            1
        };
        if let Some(path) = environment.get("PYTHONPATH") {
            settings.path_list = std::env::split_paths(&path)
                .map(|dir| dir.to_string_lossy().into_owned())
                .collect();
        }
        if let Some(coding) = environment.get("PYTHONIOENCODING") {
            let (encoding, errors) = coding.split_once(':').unwrap_or((&coding, ""));
            let nonempty = |part: &str| (!part.is_empty()).then(|| part.to_owned());
            settings.stdio_encoding = nonempty(encoding);
            settings.stdio_errors = nonempty(errors);
        }
        settings.hash_seed = match environment.get("PYTHONHASHSEED").as_deref() {
            None | Some("random") => None,
            Some(seed) => Some(seed.parse().map_err(|_| {
                Stop::Wrong(
                    "PYTHONHASHSEED must be \"random\" or an integer in range [0; 4294967295]"
                        .to_owned(),
                )
            })?),
        };
        if let Some(digits) = environment.get("PYTHONINTMAXSTRDIGITS") {
            settings.int_max_str_digits = int_digits(Some(&digits))?;
        }
        self.implementation_options(&mut settings)?;
        self.warnings(&environment, &mut settings);
        Ok(settings)
    }

    /// `-X`.
    fn implementation_options(&self, settings: &mut Settings) -> Result<(), Stop> {
        for option in &self.implementation {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option.as_str(), None),
            };
            match name {
                "dev" => settings.dev_mode = true,
                "faulthandler" => settings.faulthandler = true,
                "warn_default_encoding" => settings.warn_default_encoding = true,
                "no_debug_ranges" => settings.code_debug_ranges = false,
                "utf8" => settings.utf8_mode = if value == Some("0") { 0 } else { 1 },
                "int_max_str_digits" => settings.int_max_str_digits = int_digits(value)?,
                // CPython ignores what it does not know; programs look at sys._xoptions.
                _ => {}
            }
            let value = value.map(str::to_owned);
            settings.xoptions.push((name.to_owned(), value));
        }
        settings.faulthandler |= settings.dev_mode;
        Ok(())
    }

    /// The filters of warnings, in CPython's order.
    fn warnings(&self, environment: &Environment, settings: &mut Settings) {
        let options = &mut settings.warnoptions;
        if settings.dev_mode {
            options.push("default".to_owned());
        }
        match self.bytes_warning {
            0 => {}
            1 => options.push("default::BytesWarning".to_owned()),
            _ => options.push("error::BytesWarning".to_owned()),
        }
        let listed = environment.get("PYTHONWARNINGS").unwrap_or_default();
        let listed = listed.split(',').map(str::trim);
        options.extend(listed.filter(|one| !one.is_empty()).map(str::to_owned));
        options.extend(self.warnings.iter().cloned());
    }
}

fn int_digits(value: Option<&str>) -> Result<i64, Stop> {
    match value.and_then(|value| value.parse().ok()) {
        Some(digits) if digits == 0 || digits >= 640 => Ok(digits),
        _ => Err(Stop::Wrong(
            "int_max_str_digits: invalid limit; must be >= 640 or 0 for unlimited.".to_owned(),
        )),
    }
}

/// The text of `-c` without the indentation that all its lines have.
fn dedent(text: &str) -> String {
    let is_indent = |c: char| c == ' ' || c == '\t';
    let mut common: Option<&str> = None;
    for line in text.lines().filter(|line| !line.chars().all(is_indent)) {
        let code = line.trim_start_matches(is_indent);
        let indent = line.strip_suffix(code).unwrap_or_default();
        common = Some(match common {
            None => indent,
            Some(common) => {
                let same = common
                    .bytes()
                    .zip(indent.bytes())
                    .take_while(|(a, b)| a == b);
                indent.get(..same.count()).unwrap_or_default()
            }
        });
    }
    let Some(common) = common.filter(|common| !common.is_empty()) else {
        return text.to_owned();
    };
    let mut dedented = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(common) {
            Some(rest) => dedented.push_str(rest),
            // A line of white space only.
            None => dedented.push('\n'),
        }
    }
    dedented
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Parsed {
        match parse(words.iter().map(OsString::from).collect()) {
            Ok(parsed) => parsed,
            Err(stop) => panic!("{stop:?}"),
        }
    }

    #[test]
    fn options_end_at_the_program() {
        let line = parsed(&["-OO", "-X", "dev", "app.py", "-O", "--site", "x"]);
        assert_eq!(line.program, Program::Script("app.py".to_owned()));
        assert_eq!(line.settings.argv, ["app.py", "-O", "--site", "x"]);
        assert_eq!(line.settings.optimize, 2);
        assert!(line.settings.dev_mode && line.sites.is_empty());
        let line = parsed(&["-Ic", "pass", "-c"]);
        assert_eq!(line.program, Program::Command("pass".to_owned()));
        assert_eq!(line.settings.argv, ["-c", "-c"]);
        assert!(line.settings.isolated && line.settings.safe_path);
        let line = parsed(&["-mhttp.server", "8000"]);
        assert_eq!(line.program, Program::Module("http.server".to_owned()));
        assert_eq!(parsed(&[]).settings.argv, [""]);
        assert_eq!(parsed(&["-"]).settings.argv, ["-"]);
    }

    #[test]
    fn our_own_options_are_taken_from_before_the_program() {
        let line = parsed(&["--site", "a", "--site=b", "--store=/s", "x.py"]);
        assert_eq!(line.sites, ["a", "b"]);
        assert_eq!(line.store, Some(PathBuf::from("/s")));
        assert_eq!(parsed(&["--no-store"]).store, Some(PathBuf::new()));
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        for words in [
            &["-c"][..],
            &["-Z"],
            &["--sit"],
            &["--site"],
            &["-X", "int_max_str_digits=1"],
        ] {
            let words = words.iter().map(OsString::from).collect();
            assert!(matches!(parse(words), Err(Stop::Wrong(_))));
        }
    }

    #[test]
    fn common_indentation_of_a_command_is_cut() {
        assert_eq!(dedent("  a\n\n   b\n"), "a\n\n b\n");
        assert_eq!(dedent("\n    if 1:\n\tb"), "\n    if 1:\n\tb");
        assert_eq!(dedent("a\n b"), "a\n b");
    }
}
