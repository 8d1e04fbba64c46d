//! Magic numbers: the first bytes of a pyc, which name the bytecode that follows.

use super::target::Target;

/// The magic number of `target`'s final releases (`importlib.util.MAGIC_NUMBER`, first two bytes).
pub fn magic_of(target: Target) -> u16 {
    match target.minor() {
        6 => 3379,
        7 => 3394,
        8 => 3413,
        9 => 3425,
        10 => 3439,
        11 => 3495,
        12 => 3531,
        13 => 3571,
        14 => 3627,
        // A target is 3.6 to 3.15 by construction.
        _ => 3666,
    }
}

/// The four bytes that a pyc with this magic number starts with: it and `\r\n`.
pub fn magic_bytes(magic: u16) -> [u8; 4] {
    let [low, high] = magic.to_le_bytes();
    [low, high, b'\r', b'\n']
}
