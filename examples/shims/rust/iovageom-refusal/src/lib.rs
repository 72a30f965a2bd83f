// SPDX-License-Identifier: BSD-3-Clause
//! What the shims of the Rust VMMs give back when the library refuses something.

use std::ffi::CStr;
use std::fmt;

/// The statuses of a virtio-iommu request tail.
pub mod status {
    use iovageom_sys as sys;

    pub const OK: u8 = sys::IOVAGEOM_VIRTIO_S_OK as u8;
    pub const IOERR: u8 = sys::IOVAGEOM_VIRTIO_S_IOERR as u8;
    pub const UNSUPP: u8 = sys::IOVAGEOM_VIRTIO_S_UNSUPP as u8;
    pub const DEVERR: u8 = sys::IOVAGEOM_VIRTIO_S_DEVERR as u8;
    pub const INVAL: u8 = sys::IOVAGEOM_VIRTIO_S_INVAL as u8;
    pub const RANGE: u8 = sys::IOVAGEOM_VIRTIO_S_RANGE as u8;
    pub const NOENT: u8 = sys::IOVAGEOM_VIRTIO_S_NOENT as u8;
    pub const FAULT: u8 = sys::IOVAGEOM_VIRTIO_S_FAULT as u8;
    pub const NOMEM: u8 = sys::IOVAGEOM_VIRTIO_S_NOMEM as u8;
}

/// Why something was refused: a negative `enum iovageom_status`, and a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: i32,
    pub why: String,
}

impl Refused {
    /// Without a sentence of its own it gets the library's for that status.
    pub fn new(status: i32, why: String) -> Refused {
        if !why.is_empty() {
            return Refused { status, why };
        }
        // SAFETY: any status has a sentence: static text, never NULL, that ends with NUL.
        let text = unsafe { CStr::from_ptr(iovageom_sys::iovageom_status_string(status)) };
        Refused { status, why: text.to_string_lossy().into_owned() }
    }

    /// An error unless the status is 0.
    pub fn unless_ok(status: i32, why: impl FnOnce() -> String) -> Result<(), Refused> {
        match status {
            0 => Ok(()),
            _ => Err(Refused::new(status, why())),
        }
    }

    /// A name that C cannot take.
    pub fn name(name: &str) -> Refused {
        Refused::new(
            iovageom_sys::IOVAGEOM_ERR_INVALID,
            format!("the name {:?} holds a NUL byte", name),
        )
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_always_has_a_sentence() {
        let refused = Refused::new(iovageom_sys::IOVAGEOM_ERR_NO_MEMORY, String::new());
        assert!(!refused.to_string().is_empty());
        assert_eq!(Refused::new(-1, "because".into()).to_string(), "because");
        assert!(Refused::name("a\0b").to_string().contains("NUL"));
    }

    #[test]
    fn what_went_well_is_no_refusal() {
        assert_eq!(Refused::unless_ok(0, || panic!("nobody asks why")), Ok(()));
        let refused = Refused::unless_ok(iovageom_sys::IOVAGEOM_ERR_INVALID, || "why".into());
        assert_eq!(refused.unwrap_err().why, "why");
    }
}
