// SPDX-License-Identifier: BSD-3-Clause
//! Raw bindings to every exported function of libiovageom.
//!
//! The C headers are the manual. `check` beside this crate compares what is bound with what the
//! library exports, and the layout of every structure as C and as Rust see it.
#![allow(non_camel_case_types, non_upper_case_globals, non_snake_case)]
#![allow(clippy::all)]

include!("bindings.rs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_linked_and_of_this_version() {
        // SAFETY: static text, never NULL, that ends with NUL.
        let version = unsafe { std::ffi::CStr::from_ptr(iovageom_version()) };
        let expected = format!(
            "{}.{}.{}",
            IOVAGEOM_VERSION_MAJOR, IOVAGEOM_VERSION_MINOR, IOVAGEOM_VERSION_PATCH
        );
        assert_eq!(version.to_str().unwrap(), expected);
    }

    #[test]
    fn structures_pass_by_value() {
        let all = iovageom_range { start: 0, last: u64::MAX };
        // SAFETY: a valid range by value; the call touches no memory.
        let size = unsafe { iovageom_range_size(all) };
        assert_eq!((size.hi, size.lo), (1, 0));
    }
}
