//! The cryptography behind the VM's `ssl` module: ring.

use rustls::crypto::ring;
use rustpython_stdlib::ssl::providers::CryptoExt;

/// Installs the provider for this process; a second call changes nothing.
pub(super) fn install() {
    let extras = CryptoExt {
        all_cipher_suites: Some(ring::ALL_CIPHER_SUITES),
        default_cipher_suites: Some(ring::DEFAULT_CIPHER_SUITES),
        all_kx_groups: Some(ring::ALL_KX_GROUPS),
        any_supported_key: Some(ring::sign::any_supported_type),
        ticketer: ring::Ticketer::new,
    };
    let _ = CryptoExt::set_provider(ring::default_provider(), extras);
}
