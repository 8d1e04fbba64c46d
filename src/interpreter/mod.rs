//! The interpreter backend: long-lived worker processes of real CPythons.
