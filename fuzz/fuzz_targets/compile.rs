//! Decoding and compiling: any bytes are code or a refusal, and code is a whole template.
//!
//! The length of the input picks the profile and the level, so that a seed is plain Python.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target, Template};

fn variants() -> &'static [(Target, &'static Profile, Level)] {
    static VARIANTS: OnceLock<Vec<(Target, &'static Profile, Level)>> = OnceLock::new();
    VARIANTS.get_or_init(|| {
        let mut variants = Vec::new();
        for target in Target::all() {
            let mut profiles: Vec<&'static Profile> = [Some(0), None]
                .into_iter()
                .filter_map(|patch| Profile::of(target, patch))
                .collect();
            profiles.dedup_by_key(|profile| profile.patch);
            for profile in profiles {
                variants.extend(Level::ALL.map(|level| (target, profile, level)));
            }
        }
        variants
    })
}

fuzz_target!(|source: &[u8]| {
    let variants = variants();
    let (target, profile, level) = variants[source.len() % variants.len()];
    if let Ok(code) = pipeline::compile(source, profile, level) {
        let template = Template::from_parts(code.bytes, code.hole, true, true).unwrap();
        template.verify(target).unwrap();
    }
});
